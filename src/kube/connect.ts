/** How to reach the API server: the pod's account inside a cluster, else `KUBECONFIG` or `~/.kube/config`. */
import { KubeConfig } from '@kubernetes/client-node';

/** @throws {Error} with one sentence when no cluster is configured */
export function connect(): KubeConfig {
  const config = new KubeConfig();
  config.loadFromDefault();
  // What the library falls back to when it finds nothing; nobody serves there any more.
  if (config.getCurrentCluster()?.server === 'http://localhost:8080') {
    throw new Error('no cluster is configured: set KUBECONFIG, or run inside a pod with a service account');
  }
  return config;
}
