// What stands of each job: the highest (attempt, seq), its text replaced and never appended to.
// An end beats any update, an answer beats a failure. To run for ever, pass a Map that forgets.
const RANKS = { "message.failed": 1, "message.completed": 2 };
const OTHERS = ["task.created", "message.updated", "message.retrying"];

export function newest(jobs = new Map()) {
  return ({ properties: { type, headers }, content }) => {
    const key = `${headers["aui-task-id"]} ${headers["aui-job-id"]}`;
    const place = RANKS[type] ? [RANKS[type]] : [0, headers["aui-attempt"], headers["aui-seq"]];
    const known = jobs.get(key)?.place ?? [-1];
    const differing = place.findIndex((number, at) => number !== known[at]);
    if (differing < 0 || place[differing] < known[differing]) return undefined; // late or repeated
    if (!RANKS[type] && !OTHERS.includes(type)) return undefined; // of a later contract
    const body = JSON.parse(content);
    const text = { "message.updated": body.data?.text, "message.completed": body.text }[type] ?? "";
    jobs.set(key, { place, type, text, ended: type in RANKS, body });
    return jobs.get(key);
  };
}
