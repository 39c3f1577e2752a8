/** What a tuner serves under `/metrics`, its worker's included and Node's own aside: told by the app itself, not by a list. */
import { Registry } from 'prom-client';
import type { Test } from 'tap';
import { request } from 'undici';
import { startApp } from '../src/app.ts';
import { readSettings } from '../src/settings.ts';
import { workerMetrics } from '../src/worker/metrics.ts';
import { listenedLog } from './serve/log-lines.ts';

export type ServedMetric = { name: string; help: string; type: string; labels: string[] };

/** @returns each metric, and every name that a query may use for it (a histogram has three) */
export async function servedMetrics(t: Test): Promise<{ metrics: ServedMetric[]; names: string[] }> {
  const read = readSettings({
    ...{ OAAS_TUNER_HOST: '127.0.0.1', OAAS_TUNER_PORT: '0', OAAS_TUNER_METRICS_PORT: '0' },
    OAAS_TUNER_TLS_DIR: t.testdir(),
  });
  if ('problems' in read) throw new Error(read.problems.join());
  const ofWorker = new Registry();
  workerMetrics(ofWorker);
  const text = await ofWorker.metrics();
  const app = await startApp(read.settings, listenedLog().log, async () => ({
    workerMetrics: () => text,
    stop: async () => {},
  }));
  const served = await (await request(`http://127.0.0.1:${app.opsPort}/metrics`)).body.text();
  await app.stop(0);
  const lines = served.split('\n');
  const metrics = [...served.matchAll(/^# HELP (oaas_tuner_\S+) (.*)$/gm)].map(([, name = '', help = '']) => {
    const type = new RegExp(`^# TYPE ${name} (\\w+)$`, 'm').exec(served)?.[1] ?? '';
    const series = lines.filter((line) => new RegExp(`^${name}(_bucket|_sum|_count)?\\{`).test(line));
    const labels = series.flatMap((line) => [...line.matchAll(/(\w+)="/g)].map(([, label = '']) => label));
    const own = labels.filter((label) => !(type === 'histogram' && label === 'le'));
    return { name, help, type, labels: [...new Set(own)] };
  });
  const names = lines.flatMap((line) => /^(oaas_tuner_\w+)[ {]/.exec(line)?.[1] ?? []);
  return { metrics, names: [...new Set(names)] };
}
