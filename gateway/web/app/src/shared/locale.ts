// Two languages, one place for each text: a Word is the pair, so a text that
// lacks its translation does not compile. Pages read the language from the
// Locale context; the choice outlives the page in localStorage, which holds
// nothing else of ours.
import { createContext } from 'preact';
import { useContext } from 'preact/hooks';

export type Lang = 'zh' | 'en';
export type Word = readonly [zh: string, en: string];
export type Params = Record<string, string | number>;

export interface Locale {
  readonly lang: Lang;
  /** The text in the current language, with {name} replaced from params. */
  t(word: Word, params?: Params): string;
  switchTo(lang: Lang): void;
}

const storageKey = 'hutong.lang';

/** The language of a first visit: the browser's first preference that we speak, else Chinese. */
export function preferred(languages: readonly string[]): Lang {
  for (const tag of languages) {
    const base = tag.toLowerCase().split('-')[0];
    if (base === 'zh' || base === 'en') return base;
  }
  return 'zh';
}

export function initialLang(): Lang {
  const kept = localStorage.getItem(storageKey);
  return kept === 'zh' || kept === 'en' ? kept : preferred(navigator.languages);
}

/** Keeps the choice and tells the browser (and so a screen reader) the language of the page. */
export function applyLang(lang: Lang, title: Word): void {
  document.documentElement.lang = lang === 'zh' ? 'zh-CN' : 'en';
  document.title = title[lang === 'zh' ? 0 : 1];
}

export function keepLang(lang: Lang): void {
  localStorage.setItem(storageKey, lang);
}

export function translate(lang: Lang, word: Word, params?: Params): string {
  const text = word[lang === 'zh' ? 0 : 1];
  return params ? text.replace(/\{(\w+)\}/g, (whole, name: string) => String(params[name] ?? whole)) : text;
}

export const LocaleContext = createContext<Locale>({
  lang: 'zh',
  t: (word, params) => translate('zh', word, params),
  switchTo: () => {},
});

export const useLocale = (): Locale => useContext(LocaleContext);
