/** How to reach the API server: the pod's account inside a cluster, else `KUBECONFIG` or `~/.kube/config`. */
import { isDeepStrictEqual } from 'node:util';
import { Agent } from 'undici';
import { type DispatcherOptions, KubeConfig, type RequestContext } from '#kubernetes';
import { reason } from '../log.ts';

/** No call is waited for longer than this, in milliseconds; undici's own bound is 300 s for the head alone. */
const LIMIT_MS = 30_000;

/** What the client for custom objects makes of the core group, whose name is empty; a server may have a path of its own. */
const OF_CORE = /^([^?]*?)\/apis\/\//;

/**
 * The library's configuration, with three things that it lacks: a bound in time for each call (watches have their own), the
 * core group's path in the client for custom objects, and connections that are used again. It makes a new agent, and with it
 * a TLS handshake, for every call (client-node 2.0.1 `dist/config.js` `createDispatcher`).
 */
export class Connection extends KubeConfig {
  readonly #limitMs: number;
  #kept: { options: DispatcherOptions; agent: Agent } | undefined;

  constructor(limitMs = LIMIT_MS) {
    super();
    this.#limitMs = limitMs;
  }

  override createDispatcherOptions(...args: Parameters<KubeConfig['createDispatcherOptions']>): DispatcherOptions {
    const options = super.createDispatcherOptions(...args);
    // Another CA, another client certificate: both are read anew for each call, and may have been renewed.
    if (options.type === 'agent' && !isDeepStrictEqual(options, this.#kept?.options)) {
      void this.#kept?.agent.close();
      // HTTP/1.1: nobody would notice that HTTP/2's one connection is dead, and every call would be lost on it.
      this.#kept = { options, agent: new Agent({ connect: options.connect as object, allowH2: false }) };
    }
    return options;
  }

  override async applySecurityAuthentication(context: RequestContext): Promise<void> {
    await super.applySecurityAuthentication(context);
    if (this.#kept) context.setDispatcher(this.#kept.agent);
    context.setUrl(context.getUrl().replace(OF_CORE, '$1/api/'));
    context.setSignal(AbortSignal.timeout(this.#limitMs));
  }
}

/** @throws {Error} with one sentence when no cluster is configured, or one that cannot be read */
export function connect(): Connection {
  const config = new Connection();
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
