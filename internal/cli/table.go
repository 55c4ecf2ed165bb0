package cli

import (
	"strings"
)

// column is one column of a table. Its cells are plain texts.
type column struct {
	name  string
	right bool // align to the right
	// least is how narrow the column may become where the terminal is too narrow
	// for the table. 0: it keeps the width of its longest cell.
	least int
	cells []string
}

// gap is between two columns.
const gap = 2

// layOut makes the lines of a table that is at most so wide; 0 is without limit.
// A column without any value is left out.
func layOut(columns []column, most int) []string {
	var shown []column
	for _, c := range columns {
		if strings.Join(c.cells, "") != "" {
			shown = append(shown, c)
		}
	}
	if len(shown) == 0 {
		return nil
	}
	widths := fit(shown, most)
	lines := make([]string, 0, len(shown[0].cells)+1)
	for row := range len(shown[0].cells) + 1 {
		var line strings.Builder
		for i, c := range shown {
			text := c.name
			if row > 0 {
				text = c.cells[row-1]
			}
			text = cut(text, widths[i])
			pad := strings.Repeat(" ", widths[i]-cells(text))
			if c.right {
				text = pad + text
			} else {
				text += pad
			}
			line.WriteString(text + strings.Repeat(" ", gap))
		}
		lines = append(lines, strings.TrimRight(line.String(), " "))
	}
	return lines
}

// fit takes width from the widest columns until the table fits.
func fit(columns []column, most int) []int {
	widths := make([]int, len(columns))
	total := gap * (len(columns) - 1)
	for i, c := range columns {
		widths[i] = cells(c.name)
		for _, text := range c.cells {
			widths[i] = max(widths[i], cells(text))
		}
		total += widths[i]
	}
	for ; most > 0 && total > most; total-- {
		widest := -1
		for i, c := range columns {
			if c.least > 0 && widths[i] > c.least && (widest < 0 || widths[i] >= widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			break
		}
		widths[widest]--
	}
	return widths
}
