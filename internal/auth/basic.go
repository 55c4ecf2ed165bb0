package auth

import (
	"crypto/sha256"
	"net/http"
	"os"
	"sync"

	"go.yaml.in/yaml/v3"
	"golang.org/x/crypto/bcrypt"
)

// basicAuth tells whom a listener's basic auth has let in.
type basicAuth struct {
	file string // the toolkit's configuration of the listener

	mu   sync.Mutex // guards good
	good map[[sha256.Size]byte]bool
}

// user returns the user of basic auth, or nothing. The toolkit reads its file at
// each request and lets everybody in while that has no users: then it does not
// look at the header, which says what the client likes. So the user must be in the
// file now. That alone is not enough when the users have come into the file after
// the toolkit has read it, so the password is checked here as well.
func (b *basicAuth) user(r *http.Request) string {
	user, password, ok := r.BasicAuth()
	if !ok {
		return ""
	}
	text, err := os.ReadFile(b.file)
	if err != nil {
		return ""
	}
	var cfg struct {
		Users map[string]string `yaml:"basic_auth_users"`
	}
	if yaml.Unmarshal(text, &cfg) != nil {
		return ""
	}
	hash, known := cfg.Users[user]
	if !known || !b.matches(hash, password) {
		return ""
	}
	return user
}

// maxGood bounds the passwords that are known to be right.
const maxGood = 100

// matches remembers what is right: a comparison takes long, on purpose, and the
// toolkit has made it before.
func (b *basicAuth) matches(hash, password string) bool {
	key := sha256.Sum256([]byte(hash + "\x00" + password)) // a hash has no such byte
	b.mu.Lock()
	known := b.good[key]
	b.mu.Unlock()
	if known {
		return true
	}
	if bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)) != nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.good == nil || len(b.good) >= maxGood {
		b.good = map[[sha256.Size]byte]bool{}
	}
	b.good[key] = true
	return true
}
