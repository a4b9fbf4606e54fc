package emulator

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

// partialReply returns v as JSON. If the query of c has the parameter fields, the
// JSON contains only the fields that the parameter names.
func partialReply(c call, v any) reply {
	full := jsonReply(http.StatusOK, v)
	fields := c.URL.Query().Get("fields")
	if fields == "" {
		return full
	}
	var object any
	if err := json.Unmarshal(full.body, &object); err != nil {
		return textReply(http.StatusInternalServerError, err.Error())
	}
	var paths [][]string
	for field := range strings.SplitSeq(fields, ",") {
		paths = append(paths, strings.Split(field, "."))
	}
	return jsonReply(http.StatusOK, selectFields(object, paths))
}

// selectFields returns the fields of an object that paths name. It does the same for
// each object in a list.
func selectFields(value any, paths [][]string) any {
	switch value := value.(type) {
	case []any:
		selected := make([]any, len(value))
		for i, element := range value {
			selected[i] = selectFields(element, paths)
		}
		return selected
	case map[string]any:
		selected := map[string]any{}
		for name, field := range value {
			var subpaths [][]string
			for _, path := range paths {
				if path[0] == name {
					subpaths = append(subpaths, path[1:])
				}
			}
			if slices.ContainsFunc(subpaths, func(path []string) bool { return len(path) == 0 }) {
				selected[name] = field
			} else if subpaths != nil {
				selected[name] = selectFields(field, subpaths)
			}
		}
		return selected
	}
	return value
}
