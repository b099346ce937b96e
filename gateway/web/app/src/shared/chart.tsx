// A trend as a picture (uPlot) and as a table. The picture is hidden from
// screen readers; the table holds every point, so nothing depends on sight.
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { useLocale } from './locale.ts';

export interface Point {
  /** Milliseconds since the epoch. */
  at: number;
  value: number;
  low?: number | undefined;
  high?: number | undefined;
}

const zoneShift = (at: number): Date => uPlot.tzDate(new Date(at), 'Asia/Shanghai');

function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** The reference range of the points as a band behind the line. */
function bandPlugin(points: readonly Point[]): uPlot.Plugin {
  const last = points.at(-1);
  return {
    hooks: {
      drawClear: (u) => {
        if (!last || (last.low === undefined && last.high === undefined)) return;
        const top = last.high === undefined ? u.bbox.top : u.valToPos(last.high, 'y', true);
        const bottom = last.low === undefined ? u.bbox.top + u.bbox.height : u.valToPos(last.low, 'y', true);
        u.ctx.save();
        u.ctx.fillStyle = colour('--band');
        u.ctx.beginPath();
        u.ctx.rect(u.bbox.left, u.bbox.top, u.bbox.width, u.bbox.height);
        u.ctx.clip();
        u.ctx.fillRect(u.bbox.left, top, u.bbox.width, bottom - top);
        u.ctx.restore();
      },
    },
  };
}

/** The smallest frame that shows every value and the range, with a margin. */
function frame(points: readonly Point[]): [number, number] {
  const all = points.flatMap((p) => [p.value, p.low ?? p.value, p.high ?? p.value]);
  const low = Math.min(...all);
  const high = Math.max(...all);
  const margin = (high - low || Math.abs(high) || 1) * 0.12;
  return [low >= 0 ? Math.max(0, low - margin) : low - margin, high + margin];
}

function dateLabel(lang: string, at: number, span: number): string {
  const d = zoneShift(at);
  const year = String(d.getFullYear());
  const month = d.getMonth() + 1;
  if (span > 2 * 365 * 86_400_000) return year;
  if (span > 90 * 86_400_000) return lang === 'zh' ? `${year.slice(2)}年${month}月` : `${month}/${year.slice(2)}`;
  return lang === 'zh' ? `${month}月${d.getDate()}日` : `${d.getDate()}/${month}`;
}

function options(lang: string, points: readonly Point[], width: number): uPlot.Options {
  const ink = colour('--ink-soft');
  const font = `12px ${getComputedStyle(document.body).fontFamily}`;
  const span = (points.at(-1)?.at ?? 0) - (points[0]?.at ?? 0);
  const grid = { stroke: colour('--line'), width: 1 };
  const pad = Math.max(span * 0.06, 86_400_000);
  return {
    width,
    height: 220,
    ms: 1,
    legend: { show: false },
    cursor: { show: false },
    tzDate: zoneShift,
    plugins: [bandPlugin(points)],
    scales: {
      x: { time: true, range: () => [(points[0]?.at ?? 0) - pad, (points.at(-1)?.at ?? 0) + pad] },
      y: { range: () => frame(points) },
    },
    axes: [
      { stroke: ink, font, grid: { show: false }, ticks: grid, space: 64, values: (_, ticks) => distinct(ticks.map((at) => dateLabel(lang, at, span))) },
      { stroke: ink, font, grid, ticks: grid, size: 52 },
    ],
    series: [{}, { stroke: colour('--brand'), width: 2, points: { show: true, size: 8, fill: colour('--surface'), stroke: colour('--brand'), width: 2 } }],
  };
}

/** A label that repeats its neighbour is left out. */
const distinct = (labels: string[]): string[] => labels.map((l, i) => (l === labels[i - 1] ? '' : l));

export function TrendChart({ points }: { points: readonly Point[] }) {
  const { lang } = useLocale();
  const holder = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const el = holder.current;
    if (!el || points.length < 2) return;
    const data: uPlot.AlignedData = [points.map((p) => p.at), points.map((p) => p.value)];
    let plot = new uPlot(options(lang, points, el.clientWidth), data, el);
    const redraw = () => {
      plot.destroy();
      plot = new uPlot(options(lang, points, el.clientWidth), data, el);
    };
    const watcher = new ResizeObserver(() => plot.setSize({ width: el.clientWidth, height: 220 }));
    watcher.observe(el);
    const dark = matchMedia('(prefers-color-scheme: dark)');
    dark.addEventListener('change', redraw);
    return () => {
      watcher.disconnect();
      dark.removeEventListener('change', redraw);
      plot.destroy();
    };
  }, [points, lang]);
  return <div ref={holder} class="chart" aria-hidden="true" />;
}
