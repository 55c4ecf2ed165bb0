-- Waits behind blocker. It is not the cause: nothing happens to it.
UPDATE orders SET changed = now() WHERE id = 42;
