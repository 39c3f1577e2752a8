import { randomBytes } from 'node:crypto';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Who can talk to the API server, by what they are to a test. */
export type User = 'admin' | 'tuner' | 'person';

/** The name and groups that the API server sees, in `request.userInfo` of a review too. */
export const identities: Record<User, { name: string; groups: string[] }> = {
  /** The harness itself: no RBAC rule can stop it. */
  admin: { name: 'admin', groups: ['system:masters'] },
  /** The tuner's own service account. It may do only what a Role of the chart, or of the test, gives it. */
  tuner: {
    name: 'system:serviceaccount:oaas-system:oaas-tuner',
    groups: ['system:serviceaccounts', 'system:serviceaccounts:oaas-system', 'system:authenticated'],
  },
  /** Somebody who deploys with kubectl; bound to cluster-admin by the harness. */
  person: { name: 'alice', groups: ['system:authenticated'] },
};

/** A token for each user, new for every cluster. */
export function newTokens(): Record<User, string> {
  const token = () => randomBytes(16).toString('hex');
  return { admin: token(), tuner: token(), person: token() };
}

/** Writes the file that the API server knows the tokens from. */
export function writeTokenFile(file: string, tokens: Record<User, string>): void {
  const lines = Object.entries(identities).map(
    ([user, { name, groups }]) => `${tokens[user as User]},${name},${name},"${groups.join(',')}"`,
  );
  writeFileSync(file, `${lines.join('\n')}\n`, { mode: 0o600 });
}

/** Where the kubeconfig of a user lies in a cluster's folder. */
export function kubeconfigFile(folder: string, user: User): string {
  return join(folder, `${user}.kubeconfig`);
}

/** Writes a kubeconfig for each user. JSON is YAML, and every client reads it. */
export function writeKubeconfigs(folder: string, server: string, caFile: string, tokens: Record<User, string>): void {
  for (const user of Object.keys(identities) as User[]) {
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'test',
      clusters: [{ name: 'test', cluster: { server, 'certificate-authority': caFile } }],
      users: [{ name: user, user: { token: tokens[user] } }],
      contexts: [{ name: 'test', context: { cluster: 'test', user } }],
    };
    const file = kubeconfigFile(folder, user);
    writeFileSync(file, JSON.stringify(config, null, 2));
    chmodSync(file, 0o600);
  }
}
