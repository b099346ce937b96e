// The little Markdown that cards use: paragraphs, lists and bold. Everything
// becomes text nodes, never markup.
import type { ComponentChildren } from 'preact';

export function Markdown({ text }: { text: string }) {
  const blocks = text.trim().split(/\n\s*\n/);
  return (
    <div class="cds-detail">
      {blocks.map((block, i) => {
        const lines = block.split('\n');
        if (lines.every((l) => l.startsWith('- '))) {
          return (
            <ul key={i}>
              {lines.map((l) => (
                <li key={l}>{bold(l.slice(2))}</li>
              ))}
            </ul>
          );
        }
        return <p key={i}>{bold(block)}</p>;
      })}
    </div>
  );
}

/** Odd parts between ** are bold. */
const bold = (line: string): ComponentChildren => line.split('**').map((part, i) => (i % 2 ? <strong key={i}>{part}</strong> : part));
