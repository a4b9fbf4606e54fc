package facts

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// The columns of the table are together 120 characters wide.
var (
	columns = []string{"Question", "Documented", "The emulator", "This server"}
	widths  = []int{25, 27, 29, 30}
)

// Report returns a table of all answers, the differences from the emulator, and the questions
// that could not be asked.
func Report(answers []Answer) string {
	var out strings.Builder
	row(&out, columns)
	line(&out)
	var differs, notAsked []Answer
	for _, answer := range answers {
		server := answer.Server
		switch {
		case answer.NotAsked != "":
			server = "(not asked)"
			notAsked = append(notAsked, answer)
		case answer.Differs():
			differs = append(differs, answer)
		default:
			server = "the same"
		}
		row(&out, []string{answer.Question, answer.Documented, answer.Emulator, server})
		line(&out)
	}

	fmt.Fprintf(&out, "\nDiffers from the emulator: %d of %d\n", len(differs), len(answers)-len(notAsked))
	for _, answer := range differs {
		fmt.Fprintf(&out, "\n* %s (%s)\n", answer.Question, answer.ID)
		for _, text := range difference(answer) {
			paragraph(&out, "    ", text)
		}
	}
	fmt.Fprintf(&out, "\nNot asked: %d\n", len(notAsked))
	slices.SortStableFunc(notAsked, func(a, b Answer) int { return strings.Compare(a.NotAsked, b.NotAsked) })
	for i, answer := range notAsked {
		if i == 0 || answer.NotAsked != notAsked[i-1].NotAsked {
			fmt.Fprintln(&out)
			paragraph(&out, "* ", strings.ToUpper(answer.NotAsked[:1])+answer.NotAsked[1:])
		}
		paragraph(&out, "    ", answer.Question+" ("+answer.ID+")")
	}
	return out.String()
}

// difference describes how an answer differs from the emulator's.
func difference(answer Answer) []string {
	texts := []string{"Emulator:    " + answer.Emulator, "This server: " + answer.Server}
	if server, emulated := parts(answer.Server), parts(answer.Emulator); len(server) > 4 && len(emulated) > 4 {
		texts = nil
		if only := without(emulated, server); only != "" {
			texts = append(texts, "Only the emulator: "+only)
		}
		if only := without(server, emulated); only != "" {
			texts = append(texts, "Only this server:  "+only)
		}
		if texts == nil {
			texts = []string{"This server has the same in another order."}
		}
	}
	play := "The emulator cannot play this yet."
	if names := answer.Switches(); len(names) > 0 {
		slices.Sort(names)
		play = "The emulator can play this: " + strings.Join(names, ", ") + "."
	}
	return append(texts, play)
}

// parts splits an answer into its fields.
func parts(answer string) []string {
	return strings.Split(strings.Replace(answer, "; ", ", ", 1), ", ")
}

// without returns the parts that only the first list has.
func without(list, other []string) string {
	return strings.Join(slices.DeleteFunc(slices.Clone(list), func(part string) bool { return slices.Contains(other, part) }), ", ")
}

// row writes the cells side by side, each wrapped in its column.
func row(out *strings.Builder, cells []string) {
	wrapped := make([][]string, len(cells))
	height := 0
	for i, cell := range cells {
		wrapped[i] = wrap(cell, widths[i])
		height = max(height, len(wrapped[i]))
	}
	for n := range height {
		text := ""
		for i := range cells {
			cell := ""
			if n < len(wrapped[i]) {
				cell = wrapped[i][n]
			}
			if i > 0 {
				text += " | "
			}
			text += cell + strings.Repeat(" ", max(0, widths[i]-utf8.RuneCountInString(cell)))
		}
		fmt.Fprintln(out, strings.TrimRight(text, " "))
	}
}

// line writes the line between two rows.
func line(out *strings.Builder) {
	var dashes []string
	for _, width := range widths {
		dashes = append(dashes, strings.Repeat("-", width))
	}
	fmt.Fprintln(out, strings.Join(dashes, "-|-"))
}

// paragraph writes a text in lines of at most 120 characters. The indent of the first line
// may be a bullet.
func paragraph(out *strings.Builder, indent, text string) {
	for _, line := range wrap(text, 120-len(indent)) {
		fmt.Fprintln(out, indent+line)
		indent = strings.Repeat(" ", len(indent))
	}
}

// wrap splits a text into lines. It splits a word only if the word is longer than a line.
func wrap(text string, width int) []string {
	var lines []string
	current := ""
	for word := range strings.SplitSeq(text, " ") {
		joined := word
		if current != "" {
			joined = current + " " + word
		}
		if utf8.RuneCountInString(joined) > width && current != "" {
			lines = append(lines, current)
			joined = word
		}
		for utf8.RuneCountInString(joined) > width {
			runes := []rune(joined)
			lines = append(lines, string(runes[:width]))
			joined = string(runes[width:])
		}
		current = joined
	}
	return append(lines, current)
}
