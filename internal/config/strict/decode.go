package strict

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"
)

// decode fills in a value, given by a pointer to it, from a node.
func (d *Document) decode(n *yaml.Node, into any) error {
	return d.value(n, reflect.ValueOf(into).Elem(), "", "")
}

// value fills in one value. The path is dotted; the key is how it is shown.
func (d *Document) value(n *yaml.Node, v reflect.Value, path, key string) error {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if node, ok := reflect.TypeAssert[*yaml.Node](v.Addr()); ok {
		*node = *n
		return nil
	}
	if n.ShortTag() == "!!null" {
		return nil // a key without a value changes nothing
	}
	var err error
	switch kind := v.Kind(); {
	case kind == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return d.value(n, v.Elem(), path, key)
	case n.Kind != nodeKind(kind):
		err = fmt.Errorf("%s is not %s", nodeName(n), wanted(v.Type()))
	case kind == reflect.Struct:
		return d.structure(n, v, path, key)
	case kind == reflect.Map:
		return d.mapping(n, v, path, key)
	case kind == reflect.Slice:
		return d.list(n, v, path, key)
	default:
		err = scalar(n, v)
	}
	if err != nil {
		return &mistake{line: n.Line, key: key, err: err}
	}
	return nil
}

// structure fills in the fields that the mapping has keys for.
func (d *Document) structure(n *yaml.Node, v reflect.Value, path, key string) error {
	pairs, err := pairsOf(n)
	if err != nil {
		return err
	}
	for _, p := range pairs {
		below, shown := child(path, p.key), child(key, p.key)
		target, ok := fieldOf(v, p.key)
		if !ok {
			return &mistake{line: p.line, key: child(key, shownKey(p.key)), err: errors.New("there is no such key")}
		}
		d.places[below] = place{p.line, shown}
		if err := d.value(p.value, target, below, shown); err != nil {
			return err
		}
	}
	return nil
}

// mapping replaces a map.
func (d *Document) mapping(n *yaml.Node, v reflect.Value, path, key string) error {
	pairs, err := pairsOf(n)
	if err != nil {
		return err
	}
	v.Set(reflect.MakeMapWithSize(v.Type(), len(pairs)))
	for _, p := range pairs {
		below, shown := child(path, p.key), child(key, p.key)
		d.places[below] = place{p.line, shown}
		element := reflect.New(v.Type().Elem()).Elem()
		if err := d.value(p.value, element, below, shown); err != nil {
			return err
		}
		v.SetMapIndex(reflect.ValueOf(p.key).Convert(v.Type().Key()), element)
	}
	return nil
}

// list replaces a list.
func (d *Document) list(n *yaml.Node, v reflect.Value, path, key string) error {
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	for i, element := range n.Content {
		below, shown := child(path, strconv.Itoa(i)), fmt.Sprintf("%s[%d]", key, i)
		d.places[below] = place{element.Line, shown}
		if element.ShortTag() == "!!null" {
			return &mistake{line: element.Line, key: shown, err: errors.New("the element of the list is empty")}
		}
		if err := d.value(element, v.Index(i), below, shown); err != nil {
			return err
		}
	}
	return nil
}

// scalar fills in a simple value. What the type itself says of a mistake is the
// better sentence.
func scalar(n *yaml.Node, v reflect.Value) error {
	switch into := v.Addr().Interface().(type) {
	case *model.Duration:
		return duration(n.Value, into)
	case yaml.Unmarshaler:
		return into.UnmarshalYAML(n)
	default:
		// The library would cut off the fraction of a number.
		if v.CanInt() && n.ShortTag() != "!!int" || n.Decode(into) != nil {
			return fmt.Errorf("%q is not %s", n.Value, wanted(v.Type()))
		}
		return nil
	}
}

// fieldOf returns the field of a struct for a key.
func fieldOf(v reflect.Value, key string) (reflect.Value, bool) {
	for i := range v.NumField() {
		name, options, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
		if options == "inline" {
			if found, ok := fieldOf(v.Field(i), key); ok {
				return found, true
			}
		} else if name == key && name != "" && name != "-" {
			return v.Field(i), true
		}
	}
	return reflect.Value{}, false
}

// shownKey is how a message shows a key that does not exist. Such a key may be a
// connection string in braces, which is not shown.
func shownKey(key string) string {
	if strings.ContainsAny(key, "=:") {
		return "…"
	}
	return key
}

func child(path, key string) string { return strings.TrimPrefix(path+"."+key, ".") }

// nodeKind is how a value of this kind is written.
func nodeKind(k reflect.Kind) yaml.Kind {
	switch k {
	case reflect.Struct, reflect.Map:
		return yaml.MappingNode
	case reflect.Slice:
		return yaml.SequenceNode
	default:
		return yaml.ScalarNode
	}
}

// nodeName says what somebody wrote. It repeats no text: where a list or a
// mapping is wanted, that may be a connection string.
func nodeName(n *yaml.Node) string {
	switch n.Kind {
	case yaml.SequenceNode:
		return "a list"
	case yaml.MappingNode:
		return "a mapping"
	default:
		return "a text"
	}
}

// wanted says what belongs there.
func wanted(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[model.Duration]():
		return "a duration like 10s or 5m"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Slice:
		return "a list"
	case nodeKind(t.Kind()) == yaml.MappingNode:
		return "a mapping of keys"
	case t.Kind() >= reflect.Int && t.Kind() <= reflect.Int64:
		return "a whole number"
	default:
		return "a text"
	}
}
