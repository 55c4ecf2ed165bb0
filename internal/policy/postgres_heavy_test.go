//go:build heavy

package policy_test

import "testing"

func TestManyRandomTextsAreReadAsPostgreSQLReadsThem(t *testing.T) {
	compareWithPostgreSQL(t, 60_000)
}
