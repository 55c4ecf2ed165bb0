package postgres

import (
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// suspected returns a suspected connection, and its other end, which reads
// everything and writes nothing.
func suspected(t *testing.T) (*netConn, net.Conn) {
	t.Helper()
	ours, theirs := net.Pipe()
	w := &netConn{Conn: ours}
	t.Cleanup(func() { _ = errors.Join(w.Close(), theirs.Close()) })
	go func() { _, _ = io.Copy(io.Discard, theirs) }()
	w.suspect()
	return w, theirs
}

func TestASuspectedConnectionIsClosedWithoutAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := suspected(t)
		began := time.Now()
		if _, err := w.Write([]byte("?")); err != nil {
			t.Fatal(err)
		}
		_, err := w.Read(make([]byte, 1))
		if took := time.Since(began); err == nil || took != answerTimeout || !w.isClosed() {
			t.Errorf("it is closed: %t after %s, %v", w.isClosed(), took, err)
		}
	})
}

func TestAnAnswerClearsTheSuspicion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, theirs := suspected(t)
		for i := range 2 {
			if _, err := w.Write([]byte("?")); err != nil {
				t.Fatal(err)
			}
			<-time.After(answerTimeout * time.Duration(i*5+1) * 9 / 10) // the second answer takes long
			if i == 0 && w.isClosed() {
				t.Fatal("it was closed too early")
			}
			go func() { _, _ = theirs.Write([]byte("!")) }()
			if _, err := w.Read(make([]byte, 1)); err != nil {
				t.Errorf("answer %d: %v", i+1, err)
			}
		}
	})
}

func TestASuspectedConnectionMayBeIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := suspected(t)
		<-time.After(time.Hour)
		if w.isClosed() {
			t.Error("it was closed while nothing was asked")
		}
	})
}

// A connection that awaits an answer when it is suspected has answerTimeout from
// then on.
func TestASuspicionInTheMiddleOfAStatement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := suspected(t)
		w.mu.Lock()
		w.clearSuspicion()
		w.mu.Unlock()
		if _, err := w.Write([]byte("?")); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Hour)
		if w.isClosed() {
			t.Fatal("it was closed without a suspicion")
		}
		w.suspect()
		<-time.After(answerTimeout + time.Millisecond)
		if !w.isClosed() {
			t.Error("it is still open")
		}
	})
}
