CREATE TABLE orders (id serial PRIMARY KEY, item text NOT NULL, cents integer NOT NULL);
INSERT INTO orders (item, cents) VALUES ('tea', 420), ('kettle', 3900), ('cups', 1650);
