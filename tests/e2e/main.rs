//! End-to-end tests: one binary, a module a promise.
//!
//! | module | promise |
//! | --- | --- |
//! | [`ground_truth`] | what is recorded is what strace sees, in both directions |
//! | [`strace_same_run`] | and in one and the same run, of programs that never go the same way twice |
//! | [`apparmor`] | the AppArmor profile runs the workload, and denies what was not recorded |
//! | [`selinux`] | the SELinux profile runs the workload, and denies what was not recorded |
//! | [`files`] | what is recorded of files is what strace sees, and a flood of them is no flood of events |
//! | [`arguments`] | values of arguments are told, and a profile that restricts them holds |
//! | [`agent`] | an agent records what is selected, and its spool has it whatever ends it |
//! | [`agent_service`] | what an agent tells others, and that it takes no more the longer it runs |
//! | [`fleet`] | the agents of many nodes make one profile, whatever ends them |
//! | [`fleet_stores`] | each store does what a store must |
//! | [`races`] | no call is lost, however many are made at one moment |
//! | [`attribution`] | every call is filed under the cgroup it was made in |
//! | [`command`] | the recorded command cannot tell that it is recorded |
//! | [`audit`] | a container gets by a profile as the audit said, and not once it is mended; the examples of docs/audit.md |
//! | [`blocked`] | what a filter stopped is told, all of it and nothing else |
//! | [`churn`] | a thousand containers of a few milliseconds: each is there, with its own calls |
//! | [`enforcement`] | the profile runs the workload, and without one of its calls does not |
//! | [`errno`] | a call that is not allowed returns what its callers can live with |
//! | [`filter_cost`] | what a profile costs does not depend on its length or order |
//! | [`containers`] | containers and pods are found by name and id, each a workload of its own |
//! | [`docker`] | so are Docker's own, and they run under the profile |
//! | [`containerd`] | so are those of `ctr`, and of pods as kubelet makes them |
//! | [`runtime_matrix`] | the profile of a container runs it in each configuration and on each runtime |
//! | [`needs`] | capabilities are what is needed and not what is asked for; an executable is the file that runs |
//! | [`fallbacks`] | the profile of a program runs it linked with another libc, and lets it do nothing new |
//! | [`runtime_init`] | each version of a runtime starts and enters a container under a profile for it |
//! | [`lifecycle`] | a container is recorded whenever it starts, ends, comes again or is killed |
//! | [`container_cgroups`] | whoever comes into a container's cgroup is filed as what he is |
//! | [`until_stable`] | a recording ends when nothing new comes any more, and not before |
//! | [`verify`] | what a profile would deny is denied, and what is denied is told |
//! | [`denials`] | a profile that only logs denies nothing; what is denied or logged is reported live |
//! | [`watch`] | what is reported of a profile that is not in force is what it denies |
//! | [`warnings`] | what is dangerous about a container is said wherever its profile is read |
//! | [`hostile_containers`] | files, names and sockets that mean harm do none |
//! | [`hostile_neighbours`] | a workload that takes all it can, or never answers, takes nothing from others |
//! | [`merge`] | many recordings are one, in any order, and what differs between them shows |
//! | [`output`] | what is written, where, and that it is the same each time |
//! | [`kills`] | a tracer that is killed leaves what it had recorded, and nothing else |
//! | [`output_safety`] | nothing that a workload, a full disk or a kill does makes the output lead elsewhere, mixed or incomplete without a word |
//! | [`own_profile`] | a recorder that was taken over can do little, and its profile is made of itself |
//! | [`formats`] | each place of enforcement gets its form, and what a form cannot say is told |
//! | [`diff`] | what changed is told, and nothing of what is the same |
//! | [`gvisor`] | what runs in gVisor is recorded as gVisor sees it, and its profile is enforced there |
//! | [`kubernetes_agent`] | a DaemonSet records a real cluster without the runtime's socket, and the profile runs the Deployment |
//! | [`documentation`] | the examples in docs print what they say |
//! | [`bad_input`] | one sentence, the documented status, nothing damaged |

mod agent;
mod agent_service;
mod apparmor;
mod arguments;
mod attribution;
mod audit;
mod bad_input;
mod blocked;
mod churn;
mod command;
mod command_lifetime;
mod container_cgroups;
mod containerd;
mod containers;
mod denials;
mod diff;
mod docker;
mod documentation;
mod enforcement;
mod errno;
mod fallbacks;
mod files;
mod filter_cost;
mod fleet;
mod fleet_stores;
mod footprint;
mod formats;
mod generalise;
mod ground_truth;
mod gvisor;
mod hostile_containers;
mod hostile_neighbours;
mod hostile_profiles;
mod kernel_versions;
mod kills;
mod kubernetes;
mod kubernetes_agent;
mod libc_fallbacks;
mod lifecycle;
mod merge;
mod minimal_profile;
mod mounts;
mod needs;
mod output;
mod output_limits;
mod output_safety;
mod own_profile;
mod races;
mod runtime_init;
mod runtime_matrix;
mod sarif;
mod selinux;
mod strace_same_run;
mod top;
mod until_stable;
mod verify;
mod warnings;
mod watch;
