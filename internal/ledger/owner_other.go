//go:build !unix

package ledger

import "os"

// copyOwner does nothing on systems without Unix owners.
func copyOwner(*os.File, os.FileInfo) error { return nil }
