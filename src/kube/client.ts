/**
 * All that is used of the Kubernetes client. `npm run bundle` makes one file of it, because the client loads each type of
 * each API: some thousand files, which take 50 MiB of the process. Imported as `#kubernetes`, which is this file, or the
 * bundle with `--conditions=bundle`, as in the image.
 */
export {
  ApiException,
  AuthenticationV1Api,
  CoreV1Api,
  CustomObjectsApi,
  type DispatcherOptions,
  KubeConfig,
  loadAllYaml,
  PatchStrategy,
  type RequestContext,
  setHeaderOptions,
  Watch,
} from '@kubernetes/client-node';
