package transport

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestPrintable(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ text, want string }{
		"empty":               {"", ""},
		"plain":               {"Rate limit exceeded.", "Rate limit exceeded."},
		"other letters":       {"é 日本 🔑", "é 日本 🔑"},
		"white space":         {" \r\n a \t\n b  ", "a b"},
		"only control":        {"\x00\x01\x02", ""},
		"control":             {"\x1b[31mred\x1b[0m\x07\r\nnext\x00line\u0085\u2028end", "[31mred [0m next line end"},
		"text direction":      {"a\u202eb\u200bc\ufeffd", "a b c d"},
		"invalid UTF-8":       {"caf\xe9 \xff\xfe closed", "caf closed"},
		"as long as allowed":  {strings.Repeat("x", MaxText), strings.Repeat("x", MaxText)},
		"too long":            {strings.Repeat("x", MaxText+1), strings.Repeat("x", MaxText) + "…"},
		"wide and allowed":    {strings.Repeat("é", MaxText), strings.Repeat("é", MaxText)},
		"wide and too long":   {strings.Repeat("é", MaxText+1), strings.Repeat("é", MaxText) + "…"},
		"5 MB":                {strings.Repeat("x", 5<<20), strings.Repeat("x", MaxText) + "…"},
		"5 MB of white space": {strings.Repeat(" ", 5<<20), ""},
		"cut within a letter": {strings.Repeat(" ", 16*MaxText-1) + "é", ""},
	} {
		got := Printable(tc.text)
		if got != tc.want {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
		if !utf8.ValidString(got) || strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%s: %q cannot be printed", name, got)
		}
		if again := Printable(got); again != got && !strings.HasSuffix(got, "…") {
			t.Errorf("%s: %q becomes %q", name, got, again)
		}
	}
}
