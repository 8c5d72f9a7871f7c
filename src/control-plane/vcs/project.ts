import type { NewPipeline } from "../control-plane.ts";

const hosts: Record<string, string> = { "github.com": "gh", "bitbucket.org": "bb", "gitlab.com": "gl" };

/**
 * The project of a repository's address: `gh/organization/name` where CircleCI has a word for its host, else
 * `git/HOST/name`, with folders in between after the host (`git/git.example.com:team/name`).
 */
export function projectOfRepository(url: string): NewPipeline["project"] {
  const [, host = "", path = ""] =
    /^\w+:\/\/(?:[^@/]*@)?([^/:]+)(?::\d+)?\/(.*)$/.exec(url) ?? /^(?:[\w.-]+@)?([\w.-]+):(.*)$/.exec(url) ?? [];
  const folders = path
    .replace(/[?#].*$/, "")
    .replace(/\.git\/*$/, "")
    .split("/")
    .filter((folder) => folder !== "");
  const name = folders.pop() ?? host;
  const known = hosts[host.toLowerCase()];
  const organization = known && folders.length > 0 ? folders.join(":") : [host.toLowerCase(), ...folders].join(":");
  return { slug: `${known && folders.length > 0 ? known : "git"}/${organization}/${name}`, name };
}
