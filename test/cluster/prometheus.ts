import { writeFileSync } from 'node:fs';
import { request } from 'undici';
import { stringify } from 'yaml';
import { encodeWriteRequest, type Series } from './remote-write.ts';
import { answers, type Site } from './site.ts';

/** Where Prometheus gets its series from, and how often. */
export interface PrometheusOptions {
  /** KWOK plays the kubelet; without one, nothing is scraped for containers. */
  kwokUrl: string | undefined;
  kubeStateMetricsUrl: string;
  /** In seconds. */
  scrapeIntervalSecs: number;
  /** Sent to what `scrape` is told of: the API server shows its metrics to nobody else. */
  token: string;
}

/** A running Prometheus. */
export interface Prometheus {
  url: string;
  /** Writes series of any age up to a week into it, as a remote writer would. */
  push: (series: Series[]) => Promise<void>;
  /** From now on it also scrapes `/metrics` of these addresses, and of no others that it was told before. */
  scrape: (urls: string[]) => void;
}

/** Starts a Prometheus that scrapes the cluster with the labels that kube-prometheus gives. */
export async function startPrometheus(site: Site, options: PrometheusOptions): Promise<Prometheus> {
  const port = await site.port();
  const url = `http://127.0.0.1:${port.port}`;
  const configFile = site.path('prometheus.yaml');
  const targetsFile = site.path('prometheus-targets.json');
  writeFileSync(configFile, stringify(config(options, targetsFile)));
  const prometheus = site.program({
    name: 'prometheus',
    args: [
      `--config.file=${configFile}`,
      `--storage.tsdb.path=${site.path('prometheus')}`,
      `--web.listen-address=127.0.0.1:${port.port}`,
      '--web.enable-remote-write-receiver',
      '--web.enable-lifecycle',
      // By default new targets wait up to five seconds before they are scraped.
      '--scrape.discovery-reload-interval=200ms',
    ],
    ports: [port],
    ready: () => answers(`${url}/-/ready`),
  });
  await prometheus.start();
  const targetOf = ({ host, protocol }: URL) => ({ targets: [host], labels: { __scheme__: protocol.slice(0, -1) } });
  const scrape = (urls: string[]) =>
    writeFileSync(targetsFile, JSON.stringify(urls.map((target) => targetOf(new URL(target)))));
  return { url, push: (series) => push(url, series), scrape };
}

async function push(url: string, series: Series[]): Promise<void> {
  const { statusCode, body } = await request(`${url}/api/v1/write`, {
    method: 'POST',
    headers: {
      'content-type': 'application/x-protobuf',
      'content-encoding': 'snappy',
      'x-prometheus-remote-write-version': '0.1.0',
    },
    body: encodeWriteRequest(series),
  });
  const answer = await body.text();
  if (statusCode >= 300)
    throw new Error(`writing ${series.length} series into Prometheus was answered ${statusCode}: ${answer.trim()}`);
}

function config(options: PrometheusOptions, targetsFile: string): object {
  const { kwokUrl, kubeStateMetricsUrl, scrapeIntervalSecs, token } = options;
  const interval = `${scrapeIntervalSecs}s`;
  const kubelet = {
    job_name: 'kubelet',
    honor_labels: true,
    http_sd_configs: [{ url: `${kwokUrl}/discovery/prometheus`, refresh_interval: '1s' }],
    // One KWOK serves every node; each node's target gets the labels of a kubelet of its own.
    relabel_configs: [
      {
        source_labels: ['__metrics_path__'],
        regex: '/metrics/nodes/([^/]+)/metrics/cadvisor',
        target_label: 'node',
        replacement: '$1',
      },
      { source_labels: ['node'], target_label: 'instance' },
      { target_label: 'metrics_path', replacement: '/metrics/cadvisor' },
      { regex: 'metrics_name', action: 'labeldrop' },
    ],
  };
  const kubeStateMetrics = {
    job_name: 'kube-state-metrics',
    honor_labels: true,
    static_configs: [{ targets: [new URL(kubeStateMetricsUrl).host] }],
  };
  const told = {
    job_name: 'told',
    file_sd_configs: [{ files: [targetsFile] }],
    authorization: { credentials: token },
    tls_config: { insecure_skip_verify: true },
  };
  return {
    global: { scrape_interval: interval, scrape_timeout: interval, evaluation_interval: interval },
    // Lets a test write the hours that have passed before it began, beside what is scraped now.
    storage: { tsdb: { out_of_order_time_window: '7d' } },
    scrape_configs: kwokUrl === undefined ? [kubeStateMetrics, told] : [kubelet, kubeStateMetrics, told],
  };
}
