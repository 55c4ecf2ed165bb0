package postgres

import "time"

// SetAnswerTimeout sets how long a statement of the action connection may take before
// it counts as not answered. It must be called before Start.
func (s *Server) SetAnswerTimeout(d time.Duration) { s.action.answerTimeout = d }
