/// <reference types="vite/client" />

declare module 'virtual:catalogue' {
  /** URI of the catalogue's code system. */
  export const system: string;
  /** Code, LOINC code, Chinese name, English name, category. */
  export const rows: readonly (readonly [string, string, string, string, string])[];
}
