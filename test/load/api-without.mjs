// Loaded before an API process by NODE_OPTIONS: takes a part of its way out, so that one can see what that part costs.
// SLUICE_BENCH_WITHOUT=access: no key check, limits, budgets; SLUICE_BENCH_WITHOUT=records: no request log.
const without = process.env.SLUICE_BENCH_WITHOUT;

if (without === 'access') {
  const { Gatekeeper } = await import('../../dist/apps/api/http/gatekeeper.js');
  const { Budgets } = await import('../../dist/libs/access/budgets/budgets.js');
  const { Admissions } = await import('../../dist/apps/api/http/admissions.js');
  const { admit } = Gatekeeper.prototype;
  let known;
  Gatekeeper.prototype.admit = function admitAnybody(req, action, authorization) {
    // Somebody has to be named in the records; who comes later is not looked at.
    known ??= admit.call(this, req, action, authorization);
    return known;
  };
  const open = { headers: [], openAiHeaders: [], release: () => undefined, settle: () => undefined };
  Admissions.prototype.enter = () => open;
  Budgets.prototype.meter = () => undefined;
} else if (without === 'records') {
  const { RequestRecorder } = await import('../../dist/libs/inference/records/request-recorder.js');
  RequestRecorder.prototype.record = () => undefined;
} else {
  throw new Error(`SLUICE_BENCH_WITHOUT=${without}: must be access or records`);
}
