//go:build heavy

package e2e

import (
	"fmt"
	"net/http"
	"testing"
)

// TestMoreBehindAReverseProxy is TestBehindAReverseProxy with those who may not
// give orders.
func TestMoreBehindAReverseProxy(t *testing.T) {
	d := newProxiedDesk(t)
	t.Run("somebody who is no operator", func(t *testing.T) {
		slow := d.orders.Run(t, "app", "select pg_sleep(602)")
		path := sessionPath(t, slow)
		form, _ := order(t, slow, "cancel", "")
		tab := d.open(t, "eve", path)
		expectShown(t, tab, "header", "You are eve. You may look, and not act.")
		if status := tab.Evaluate(t, formScript("/db/pgbailiff"+path+"/confirm", form)); status != http.StatusForbidden {
			t.Errorf("the form: %d", status)
		}
		unharmed(t, d.desk, slow)
		tab.Quiet(t)
	})

	// The browser of an operator sends the password along, whoever has made the form.
	t.Run("a page of another origin", func(t *testing.T) {
		slow := d.orders.Run(t, "app", "select pg_sleep(603)")
		path := sessionPath(t, slow)
		form, _ := order(t, slow, "terminate", "")
		tab := d.open(t, "ann", path)
		if status := tab.Visit(t, fmt.Sprintf("http://evil.example:%d/", d.port)); status != http.StatusOK {
			t.Fatalf("the page of another origin: %d", status)
		}
		if status := tab.Evaluate(t, formScript(d.url+path+"/confirm", form)); status != http.StatusForbidden {
			t.Errorf("its form: %d", status)
		}
		expectShown(t, tab, "body", "this is not for the pages of other sites")
		unharmed(t, d.desk, slow)
	})
}
