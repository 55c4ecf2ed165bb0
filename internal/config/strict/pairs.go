package strict

import (
	"errors"
	"fmt"

	"go.yaml.in/yaml/v3"
)

// pair is a key and its value.
type pair struct {
	key   string
	line  int // of the key
	value *yaml.Node
}

// pairsOf returns what a mapping says, merge keys included. A key is there once
// only.
func pairsOf(n *yaml.Node) ([]pair, error) {
	m := merged{seen: map[string]bool{}, visited: map[*yaml.Node]bool{}}
	err := m.add(n)
	return m.pairs, err
}

// merged collects the keys of a mapping and of those that it merges. The first
// one that has a key wins.
type merged struct {
	pairs   []pair
	seen    map[string]bool
	visited map[*yaml.Node]bool // a mapping may merge itself
}

func (m *merged) add(n *yaml.Node) error {
	if m.visited[n] {
		return nil
	}
	m.visited[n] = true
	own := map[string]bool{}
	var merge *yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		var name string
		if key.Kind == yaml.SequenceNode || key.Kind == yaml.MappingNode || key.Decode(&name) != nil {
			return &mistake{line: key.Line, err: fmt.Errorf("%s is not a text", nodeName(key))}
		}
		if key.ShortTag() == "!!null" {
			return &mistake{line: key.Line, err: errors.New("the key is empty")}
		}
		merges := key.ShortTag() == "!!merge"
		switch {
		case own[name]:
			return &mistake{line: key.Line, err: fmt.Errorf("the key %q is there twice", shownKey(name))}
		case merges:
			merge = value
		case !m.seen[name]:
			m.seen[name] = true
			m.pairs = append(m.pairs, pair{name, key.Line, value})
		}
		own[name] = true
	}
	if merge == nil {
		return nil
	}
	return m.merge(merge)
}

// merge adds what a merge key names: a mapping, or a list of them.
func (m *merged) merge(n *yaml.Node) error {
	from := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		from = n.Content
	}
	for _, n := range from {
		line := n.Line
		for n.Kind == yaml.AliasNode {
			n = n.Alias
		}
		if n.Kind != yaml.MappingNode {
			return &mistake{line: line, err: errors.New("<< merges a mapping or a list of mappings")}
		}
		if err := m.add(n); err != nil {
			return err
		}
	}
	return nil
}
