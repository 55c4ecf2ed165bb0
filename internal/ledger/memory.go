package ledger

import "iter"

// memory keeps the values of the last maxRemembered keys.
type memory[K comparable, V any] struct {
	values map[K]V
	keys   []K
	oldest int // of the keys, once there are maxRemembered
}

func newMemory[K comparable, V any]() *memory[K, V] {
	return &memory[K, V]{values: map[K]V{}}
}

// put remembers a value. The oldest key is forgotten if there are too many.
func (m *memory[K, V]) put(key K, value V) {
	_, known := m.values[key]
	m.values[key] = value
	switch {
	case known:
	case len(m.keys) < maxRemembered:
		m.keys = append(m.keys, key)
	default:
		delete(m.values, m.keys[m.oldest])
		m.keys[m.oldest] = key
		m.oldest = (m.oldest + 1) % maxRemembered
	}
}

func (m *memory[K, V]) get(key K) (V, bool) {
	value, known := m.values[key]
	return value, known
}

func (m *memory[K, V]) has(key K) bool {
	_, known := m.values[key]
	return known
}

// all are the values, the oldest key first.
func (m *memory[K, V]) all() iter.Seq[V] {
	return func(yield func(V) bool) {
		for i := range m.keys {
			if !yield(m.values[m.keys[(m.oldest+i)%len(m.keys)]]) {
				return
			}
		}
	}
}
