//go:build heavy

package querytext_test

import "testing"

func TestManyRandomTextsAreReadAsPostgreSQLReadsThem(t *testing.T) {
	compareWithPostgreSQL(t, 60_000)
}
