/** How to reach the API server: the pod's account inside a cluster, else `KUBECONFIG` or `~/.kube/config`. */
import { KubeConfig } from '@kubernetes/client-node';
import { reason } from '../log.ts';

/** @throws {Error} with one sentence when no cluster is configured, or one that cannot be read */
export function connect(): KubeConfig {
  const config = new KubeConfig();
  try {
    config.loadFromDefault();
  } catch (error) {
    // A mistake in YAML is told with the lines around it; which may hold a token.
    const [why] = reason(error).split('\n');
    throw new Error(`the cluster's configuration (KUBECONFIG) cannot be read: ${why}`);
  }
  const server = config.getCurrentCluster()?.server;
  // What the library falls back to when it finds nothing; nobody serves there any more.
  if (server === undefined || server === 'http://localhost:8080') {
    throw new Error('no cluster is configured: set KUBECONFIG, or run inside a pod with a service account');
  }
  return config;
}
