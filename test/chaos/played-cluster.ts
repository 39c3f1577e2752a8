/** A played API server that answers a whole tuner by itself, until a test tells it to misbehave. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import type { JsonObject } from '../../src/domain/json.ts';
import { type Asked, type PlayedApiServer, page, playApiServer } from '../kube/played-api-server.ts';
import { record } from '../serve/served.ts';
import { folderFor } from './running.ts';

export type PlayedCluster = {
  server: PlayedApiServer;
  /** the file for KUBECONFIG */
  kubeconfig: string;
  records: JsonObject[];
  /** Deployments with the owner label */
  workloads: JsonObject[];
  /** watches of records that are open now */
  watches: Set<Asked>;
  /** what was applied to records' status, latest last */
  statuses: JsonObject[];
  /** Deals with a request instead of the good answer; `undefined`: the server behaves. */
  misbehave: ((asked: Asked) => void) | undefined;
};

export async function playCluster(t: Test, records: JsonObject[] = [record()]): Promise<PlayedCluster> {
  const server = await playApiServer();
  t.teardown(server.close);
  const kubeconfig = join(folderFor(t), 'kubeconfig');
  writeFileSync(kubeconfig, server.kubeconfig);
  const cluster: PlayedCluster = {
    server,
    kubeconfig,
    records,
    workloads: [],
    watches: new Set(),
    statuses: [],
    misbehave: undefined,
  };
  void (async () => {
    for (;;) {
      const asked = await server.next();
      if (cluster.misbehave) cluster.misbehave(asked);
      else behave(cluster, asked);
    }
  })();
  return cluster;
}

export function behave(cluster: PlayedCluster, asked: Asked): void {
  if (asked.query.watch === 'true') {
    asked.open();
    if (!asked.path.endsWith('/deploymentrecords')) return;
    cluster.watches.add(asked);
    void asked.closed.then(() => cluster.watches.delete(asked));
  } else if (asked.path.endsWith('/selfsubjectreviews')) {
    asked.reply({ status: { userInfo: { username: 'me' } } }, 201);
  } else if (asked.method === 'PATCH') {
    cluster.statuses.push(JSON.parse(asked.body));
    asked.reply({});
  } else if (asked.method === 'POST') asked.reply({}, 201);
  else if (asked.path.endsWith('/deploymentrecords')) asked.reply(page(cluster.records, '10'));
  else if (asked.path.endsWith('/deployments') && asked.query.labelSelector === 'oaas.io/owner') {
    asked.reply({ ...page(cluster.workloads, '10'), apiVersion: 'apps/v1', kind: 'DeploymentList' });
  } else asked.reply(page([], '10'));
}
