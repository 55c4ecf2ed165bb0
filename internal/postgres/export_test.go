package postgres

import "time"

// SetPatience sets how long a statement of the acting connection may take before
// it counts as not answered. It must be called before Start.
func (s *Server) SetPatience(d time.Duration) { s.acting.patience = d }
