/** A worker in a process of its own that dies, as if the machine had lost power, while it stands at every point of a rollout. */
import { standAtPoints } from './kill-points.ts';

const [kubeconfig = '', prefix = ''] = process.argv.slice(2);
await standAtPoints(kubeconfig, prefix, async () => {
  process.kill(process.pid, 'SIGKILL');
});
