/** `npm run certs`: a CA and a certificate for localhost, in the folder that `OAAS_TUNER_TLS_DIR` names. */
import { ensureCertificates } from './certificates.ts';

if (process.argv.length > 2) {
  console.error(
    'npm run certs makes certificates for localhost in OAAS_TUNER_TLS_DIR, or ./certs; it takes no arguments.',
  );
  process.exit(2);
}
const folder = process.env.OAAS_TUNER_TLS_DIR ?? 'certs';
const made = await ensureCertificates(folder, Date.now());
console.log(
  made ? `${folder}: made ca.crt, tls.crt and tls.key for localhost` : `${folder}: already holds a certificate`,
);
