/** The workflows that the control worker serves: every function exported here is one, under its own name. */
export { pipeline } from './pipeline.ts'
