-- The bookkeeping of the demo. What must never happen, this schema refuses, whoever asks:
-- an invoice paid twice, a payment that differs from its invoice, money to an account that the
-- vendor master does not know.

CREATE FUNCTION iban_is_valid(iban text) RETURNS boolean
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
    -- ISO 13616: country and check digits to the end, letters to numbers, remainder 1.
    SELECT iban ~ '^[A-Z]{2}[0-9]{2}[A-Z0-9]{8,30}$'
        AND string_agg(
            CASE WHEN letter ~ '[0-9]' THEN letter ELSE (ascii(letter) - 55)::text END,
            '' ORDER BY place
        )::numeric % 97 = 1
    FROM regexp_split_to_table(substr(iban, 5) || left(iban, 4), '')
        WITH ORDINALITY AS letters (letter, place);
END;

CREATE TABLE edition (
    digest text PRIMARY KEY,
    installed timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE vendor (
    id text PRIMARY KEY CHECK (id ~ '^V-[0-9]{3}$'),
    name text NOT NULL,
    country text NOT NULL CHECK (country ~ '^[A-Z]{2}$'),
    city text NOT NULL,
    email text NOT NULL,
    terms_days integer NOT NULL CHECK (terms_days > 0),
    known_since date NOT NULL,
    first_paid date CHECK (first_paid >= known_since),
    UNIQUE (id, name)
);

CREATE TABLE vendor_account (
    vendor text NOT NULL REFERENCES vendor,
    iban text NOT NULL UNIQUE CHECK (iban_is_valid(iban)),
    valid_from date NOT NULL,
    valid_to date CHECK (valid_to >= valid_from),
    verified_by text NOT NULL,
    PRIMARY KEY (vendor, iban)
);
CREATE UNIQUE INDEX vendor_account_one_current ON vendor_account (vendor) WHERE valid_to IS NULL;

CREATE TABLE purchase_order (
    number text PRIMARY KEY,
    vendor text NOT NULL REFERENCES vendor,
    week text NOT NULL CHECK (week ~ '^[0-9]{4}-W[0-9]{2}$'),
    ordered date NOT NULL,
    item text NOT NULL,
    quantity integer NOT NULL CHECK (quantity > 0),
    unit_cents bigint NOT NULL CHECK (unit_cents > 0),
    amount_cents bigint NOT NULL GENERATED ALWAYS AS (quantity * unit_cents) STORED,
    status text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'closed'))
);
CREATE INDEX purchase_order_week ON purchase_order (week);

CREATE TABLE goods_receipt (
    number text PRIMARY KEY,
    purchase_order text NOT NULL REFERENCES purchase_order,
    received date NOT NULL,
    quantity integer NOT NULL CHECK (quantity > 0)
);
CREATE INDEX goods_receipt_order ON goods_receipt (purchase_order);

-- What suppliers claim: the order it names may not exist, the account may be anyone's.
CREATE TABLE invoice (
    number text PRIMARY KEY,
    vendor text NOT NULL REFERENCES vendor,
    supplier_number text NOT NULL,
    week text NOT NULL CHECK (week ~ '^[0-9]{4}-W[0-9]{2}$'),
    received date NOT NULL,
    issued date NOT NULL,
    due date NOT NULL CHECK (due >= issued),
    order_named text NOT NULL,
    quantity integer NOT NULL CHECK (quantity > 0),
    amount_cents bigint NOT NULL CHECK (amount_cents > 0),
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    account_printed text NOT NULL,
    UNIQUE (vendor, supplier_number),
    UNIQUE (number, vendor, amount_cents, currency)
);
CREATE INDEX invoice_week ON invoice (week);

CREATE TABLE payment_draft (
    id bigint GENERATED ALWAYS AS IDENTITY (START WITH 5001) PRIMARY KEY,
    idempotency_key text NOT NULL UNIQUE CHECK (length(idempotency_key) BETWEEN 8 AND 200),
    invoice text NOT NULL UNIQUE,
    vendor text NOT NULL,
    payee text NOT NULL,
    account text NOT NULL,
    amount_cents bigint NOT NULL,
    currency text NOT NULL,
    created timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT payment_equals_invoice FOREIGN KEY (invoice, vendor, amount_cents, currency)
        REFERENCES invoice (number, vendor, amount_cents, currency),
    CONSTRAINT payment_to_vendor_by_name FOREIGN KEY (vendor, payee)
        REFERENCES vendor (id, name),
    CONSTRAINT payment_to_known_account FOREIGN KEY (vendor, account)
        REFERENCES vendor_account (vendor, iban)
);

CREATE FUNCTION refuse_replaced_account() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM demo.vendor_account
        WHERE vendor = NEW.vendor AND iban = NEW.account AND valid_to IS NOT NULL
    ) THEN
        RAISE EXCEPTION 'account % of % has been replaced', NEW.account, NEW.vendor
            USING ERRCODE = 'check_violation', CONSTRAINT = 'payment_to_current_account';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER payment_to_current_account BEFORE INSERT OR UPDATE ON payment_draft
    FOR EACH ROW EXECUTE FUNCTION refuse_replaced_account();
