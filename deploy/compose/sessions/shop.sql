-- Good sessions, for comparison: nothing happens to them.
SELECT count(*) FROM orders WHERE paid;
UPDATE orders SET paid = true, changed = now() WHERE id = 1 + (random() * 999)::int AND id <> 42;
