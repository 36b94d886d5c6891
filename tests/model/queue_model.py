"""queue_model.py - what the queue promises, as the simplest program that keeps it: a dict of jobs.

Nothing here knows how awaitd works; it is written from docs/PROTOCOL.md. Every method is one
command; it changes the model and returns what the daemon must answer (or what it may).
"""

LIVE = ("scheduled", "blocked", "ready", "running")
FAILED = ("dead", "cancelled", "uncertain")


class Job:
    def __init__(self, job, queue, priority, retry, key, serial, onfail, keep, delayed):
        self.id = job
        self.queue = queue
        self.priority = priority
        self.retry = retry
        self.key = key
        self.serial = serial
        self.onfail = onfail
        self.keep = keep
        self.delayed = delayed  # its time is far away
        self.parents = set()    # that have not ended
        self.state = "ready"
        self.attempts = 0
        self.token = None

    @property
    def live(self):
        return self.state in LIVE


class Model:
    def __init__(self):
        self.jobs = {}        # all that are stored, in order of id
        self.gone = set()     # were stored once
        self.lines = {}       # serial key: ids in order
        self.paused = set()   # queues
        self.target_paused = False

    # --- submitting --------------------------------------------------------------------------

    def key_holder(self, key):
        return next((job for job in self.jobs.values() if key and job.key == key and job.live),
                    None)

    def refused_parent(self, after):
        """The first of the ids that does not exist."""
        return next((parent for parent in after if parent not in self.jobs), None)

    def submitted(self, number, queue, priority, retry, key, serial, after, onfail, keep, delayed,
                  expires):
        """The daemon has accepted it under this id. `expires`: before anybody can start it."""
        job = Job(number, queue, priority, retry, key, serial, onfail, keep, delayed)
        self.jobs[number] = job
        parents = [self.jobs[parent] for parent in after]
        job.parents = {parent.id for parent in parents if parent.live}
        if serial:
            self.lines.setdefault(serial, []).append(number)
        if onfail == "cancel" and any(parent.state in FAILED for parent in parents):
            self.end(job, "cancelled")
        else:
            self.place(job)
        if expires and job.live:
            self.end(job, "dead")

    def place(self, job):
        """A live job that does not run: blocked, scheduled or ready."""
        first = not job.serial or self.lines[job.serial][0] == job.id
        if job.parents or not first:
            job.state = "blocked"
        else:
            job.state = "scheduled" if job.delayed else "ready"

    # --- ends --------------------------------------------------------------------------------

    def end(self, job, state):
        """The job has ended, with all that follows for those that waited for it."""
        ends = [(job, state)]
        while ends:
            job, state = ends.pop(0)
            job.state = state
            job.token = None
            job.parents = set()
            self.leave_line(job)
            for child in [other for other in self.jobs.values() if job.id in other.parents]:
                if state != "done" and child.onfail == "cancel":
                    ends.append((child, "cancelled"))
                    child.parents = set()
                else:
                    child.parents.discard(job.id)
                    if child.state == "blocked":
                        self.place(child)
            if job.keep == 0 and state in ("done", "cancelled"):
                self.forget(job)

    def leave_line(self, job):
        line = self.lines.get(job.serial, [])
        if job.id in line:
            line.remove(job.id)
            if line and self.jobs[line[0]].state == "blocked":
                self.place(self.jobs[line[0]])

    def forget(self, job):
        self.jobs.pop(job.id, None)
        self.gone.add(job.id)

    # --- working -----------------------------------------------------------------------------

    def heads(self):
        """The job each queue would give next."""
        found = {}
        if self.target_paused:
            return found
        for job in self.jobs.values():
            if job.state == "ready" and job.queue not in self.paused:
                best = found.get(job.queue)
                if best is None or (job.priority, job.id) < (best.priority, best.id):
                    found[job.queue] = job
        return found

    def reserved(self, number, token, attempt):
        """A worker was given this job. What is wrong with that, or None."""
        job = self.jobs.get(number)
        if job is None or job.state != "ready":
            return f"job {number} is {job.state if job else 'unknown'}, not ready"
        head = self.heads().get(job.queue)
        if head is not job:
            return f"job {number} was given before {head.id if head else 'none may be'}"
        if attempt != job.attempts + 1:
            return f"job {number} was given as attempt {attempt} after {job.attempts}"
        job.state = "running"
        job.token = token
        return None

    def ack(self, job):
        job.attempts += 1
        self.end(job, "done")

    def nack(self, job, at_once):
        job.attempts += 1
        job.token = None
        if job.attempts > job.retry:
            self.end(job, "dead")
        else:
            job.delayed = not at_once
            job.state = "scheduled" if job.delayed else "ready"

    # --- steering ----------------------------------------------------------------------------

    def cancel(self, numbers):
        """Of a job and one that waits for it both are counted."""
        named = [self.jobs[number] for number in sorted(set(numbers)) if number in self.jobs]
        live = [job for job in named if job.live]
        for job in live:
            if job.live:
                self.end(job, "cancelled")
        return len(live)

    def delete(self, numbers):
        """How many. One with KEEP 0 that ends because another one is deleted may go by itself."""
        named = [self.jobs[number] for number in sorted(set(numbers)) if number in self.jobs]
        named = [job for job in named if job.state != "running"]
        for job in named:
            if job.live:
                self.end(job, "cancelled")
            self.forget(job)
        return range(len(named) - sum(job.keep == 0 for job in named), len(named) + 1)

    def purge(self, queue):
        """The same, of those in the queue that wait."""
        return self.delete([job.id for job in self.jobs.values()
                            if job.queue == queue and job.live and job.state != "running"])

    def matching(self, queue, states):
        return [job.id for job in self.jobs.values()
                if job.state in states and queue in (None, job.queue)]

    def promote(self, numbers):
        count = 0
        for number in sorted(set(numbers)):
            job = self.jobs.get(number)
            if job and job.state == "scheduled":
                job.delayed = False
                job.state = "ready"
                count += 1
        return count

    def retry(self, numbers):
        count = 0
        for number in sorted(set(numbers)):
            job = self.jobs.get(number)
            if job is None or job.state not in FAILED or self.key_holder(job.key):
                continue
            job.attempts = 0
            job.delayed = False
            if job.serial:
                self.lines.setdefault(job.serial, []).append(number)
            self.place(job)
            count += 1
        return count

    # --- the daemon goes and comes -----------------------------------------------------------

    def restarted(self):
        """Leases do not survive: what was reserved is ready again."""
        for job in self.jobs.values():
            if job.state == "running":
                job.state = "ready"
                job.token = None

    def counts(self):
        """(queue, state) -> how many."""
        found = {}
        for job in self.jobs.values():
            found[job.queue, job.state] = found.get((job.queue, job.state), 0) + 1
        return found
