package transport

import (
	"strings"
	"unicode"
)

// MaxText is the maximum number of characters that are shown of one text in a reply.
const MaxText = 500

// Printable returns text from an untrusted source as one line of bounded length that is
// safe to print.
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
