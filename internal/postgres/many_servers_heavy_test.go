//go:build heavy

package postgres_test

import "testing"

func TestTwoHundredServersComeUp(t *testing.T) { comeUp(t, 200, 16) }
