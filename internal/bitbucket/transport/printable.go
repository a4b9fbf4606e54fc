package transport

import (
	"strings"
	"unicode"
)

// MaxText bounds what is shown of one text of a reply, in characters.
const MaxText = 500

// Printable makes one bounded line, safe to print, of text that another program has
// written.
func Printable(text string) string {
	if len(text) > 16*MaxText {
		text = text[:16*MaxText]
	}
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, " "))
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); len(runes) > MaxText {
		text = string(runes[:MaxText]) + "…"
	}
	return text
}
