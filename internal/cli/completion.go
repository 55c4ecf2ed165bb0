package cli

import "strings"

// completionFlag begins the command line with which the scripts of
// --completion-script-bash and --completion-script-zsh ask for words.
const completionFlag = "completion-bash"

// withoutHalfWord leaves out the word that somebody is typing, unless it is a flag
// or the value of one. The shell chooses by it among all answers, and kingpin would
// take it for an argument of the default command.
func withoutHalfWord(args []string) []string {
	last := len(args) - 1
	if last < 1 || args[0] != "--"+completionFlag || strings.HasPrefix(args[last], "-") {
		return args
	}
	if last > 1 && strings.HasPrefix(args[last-1], "--") {
		return args
	}
	return args[:last]
}
