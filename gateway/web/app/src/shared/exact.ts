// Reading JSON without losing the sender's digits: 1.00 is not 1.0. JavaScript
// has only binary numbers, so the source text of every "value" that is a number
// is remembered beside the object that holds it (JSON.parse source text access,
// ECMA-262 2026; an older browser shows the number itself).

type Reviver = (this: object, key: string, value: unknown, context?: { source?: string }) => unknown;

const digits = new WeakMap<object, string>();

export function parseExact(text: string): unknown {
  const keep: Reviver = function (key, value, context) {
    if (key === 'value' && typeof value === 'number' && context?.source) digits.set(this, context.source);
    return value;
  };
  return JSON.parse(text, keep as (this: unknown, key: string, value: unknown) => unknown);
}

/** The digits of holder.value as they were sent. */
export function exactValue(holder: { value?: number | undefined }): string {
  return digits.get(holder) ?? (holder.value === undefined ? '' : String(holder.value));
}
