//go:build heavy

package postgres_test

import "testing"

func TestAThousandServersComeUp(t *testing.T) { comeUp(t, 1000, 16) }
