/**
 * Variables that change what the task agent's own Node or loader does before it runs a line. An image or a job may well
 * set them for its steps, so they go around the task agent: emptied in the container, restored for the steps.
 */
const hazardous = [
  "NODE_OPTIONS",
  "NODE_PATH",
  "NODE_EXTRA_CA_CERTS",
  "NODE_V8_COVERAGE",
  "NODE_COMPILE_CACHE",
  "NODE_REPL_EXTERNAL_MODULE",
  "NODE_DEBUG",
  "NODE_PENDING_DEPRECATION",
  "SSL_CERT_FILE",
  "SSL_CERT_DIR",
  "OPENSSL_CONF",
  "LD_PRELOAD",
  "LD_AUDIT",
  "LD_DEBUG",
  "LD_LIBRARY_PATH",
  "GCONV_PATH",
  "MALLOC_PERTURB_",
];

export interface SplitEnvironment {
  /** Set on the container: empties what must not reach the task agent. */
  container: Record<string, string>;
  /** What the image says about those, for the steps. */
  steps: Record<string, string>;
}

export function splitEnvironment(image: Readonly<Record<string, string>>): SplitEnvironment {
  const container: Record<string, string> = {};
  const steps: Record<string, string> = {};
  for (const name of hazardous) {
    const value = image[name];
    if (!value) continue;
    container[name] = "";
    steps[name] = value;
  }
  return { container, steps };
}
