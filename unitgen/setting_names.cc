#include "unitgen/setting_names.h"

#include <vector>

#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"

namespace vmsilo::unitgen {
namespace {

// The names that systemd 252 lists for --dump-configuration-items, and what
// later releases up to 258 have added. Not complete for releases to come: so
// an unknown name is a warning only.

// [Unit]
constexpr absl::string_view kUnitNames =
    "After AllowIsolate AssertACPower AssertArchitecture AssertCPUFeature "
    "AssertCPUPressure AssertCPUs AssertCapability "
    "AssertControlGroupController AssertCredential AssertDirectoryNotEmpty "
    "AssertEnvironment AssertFileIsExecutable AssertFileNotEmpty "
    "AssertFirstBoot AssertGroup AssertHost AssertIOPressure "
    "AssertKernelCommandLine AssertKernelModuleLoaded AssertKernelVersion "
    "AssertMemory AssertMemoryPressure AssertNeedsUpdate AssertOSRelease "
    "AssertPathExists AssertPathExistsGlob AssertPathIsDirectory "
    "AssertPathIsEncrypted AssertPathIsMountPoint AssertPathIsReadWrite "
    "AssertPathIsSocket AssertPathIsSymbolicLink AssertSecurity AssertUser "
    "AssertVersion AssertVirtualization Before BindTo BindsTo CollectMode "
    "ConditionACPower ConditionArchitecture ConditionCPUFeature "
    "ConditionCPUPressure ConditionCPUs ConditionCapability "
    "ConditionControlGroupController ConditionCredential "
    "ConditionDirectoryNotEmpty ConditionEnvironment "
    "ConditionFileIsExecutable ConditionFileNotEmpty ConditionFirmware "
    "ConditionFirstBoot ConditionGroup ConditionHost ConditionIOPressure "
    "ConditionKernelCommandLine ConditionKernelModuleLoaded "
    "ConditionKernelVersion ConditionMemory ConditionMemoryPressure "
    "ConditionNeedsUpdate ConditionOSRelease ConditionPathExists "
    "ConditionPathExistsGlob ConditionPathIsDirectory "
    "ConditionPathIsEncrypted ConditionPathIsMountPoint "
    "ConditionPathIsReadWrite ConditionPathIsSocket "
    "ConditionPathIsSymbolicLink ConditionSecurity ConditionUser "
    "ConditionVersion ConditionVirtualization Conflicts DefaultDependencies "
    "Description Documentation FailureAction FailureActionExitStatus "
    "IgnoreOnIsolate JobRunningTimeoutSec JobTimeoutAction "
    "JobTimeoutRebootArgument JobTimeoutSec JoinsNamespaceOf OnFailure "
    "OnFailureIsolate OnFailureJobMode OnSuccess OnSuccessJobMode PartOf "
    "PropagateReloadFrom PropagateReloadTo PropagatesReloadTo "
    "PropagatesStopTo RebootArgument RefuseManualStart RefuseManualStop "
    "ReloadPropagatedFrom Requires RequiresMountsFor RequiresOverridable "
    "Requisite RequisiteOverridable SourcePath StartLimitAction "
    "StartLimitBurst StartLimitInterval StartLimitIntervalSec "
    "StopPropagatedFrom StopWhenUnneeded SuccessAction "
    "SuccessActionExitStatus SurviveFinalKillSignal Upholds Wants "
    "WantsMountsFor";

// [Service] only
constexpr absl::string_view kServiceNames =
    "BusName ExecCondition ExecReload ExecStart ExecStop ExitType "
    "FailureAction FileDescriptorStoreMax "
    "FileDescriptorStorePreserve GuessMainPID NonBlocking NotifyAccess "
    "OOMPolicy OpenFile PIDFile PermissionsStartOnly RebootArgument "
    "ReloadSignal RemainAfterExit Restart RestartForceExitStatus "
    "RestartMaxDelaySec RestartMode RestartPreventExitStatus RestartSec "
    "RestartSteps RootDirectoryStartOnly RuntimeMaxSec "
    "RuntimeRandomizedExtraSec Sockets StartLimitAction StartLimitBurst "
    "StartLimitInterval SuccessExitStatus TimeoutAbortSec "
    "TimeoutStartFailureMode TimeoutStartSec TimeoutStopFailureMode "
    "TimeoutStopSec Type USBFunctionDescriptors USBFunctionStrings "
    "WatchdogSec";

// [Socket] only
constexpr absl::string_view kSocketNames =
    "Accept AcceptFileDescriptors Backlog BindIPv6Only BindToDevice "
    "Broadcast DeferAcceptSec DeferTrigger DeferTriggerMaxSec DirectoryMode "
    "ExecStopPre FileDescriptorName FlushPending FreeBind IPTOS IPTTL "
    "KeepAlive KeepAliveIntervalSec KeepAliveProbes KeepAliveTimeSec "
    "ListenDatagram ListenFIFO ListenMessageQueue ListenNetlink "
    "ListenSequentialPacket ListenSpecial ListenStream ListenUSBFunction "
    "Mark MaxConnections MaxConnectionsPerSource MessageQueueMaxMessages "
    "MessageQueueMessageSize NoDelay PassCredentials "
    "PassFileDescriptorsToExec PassPIDFD PassPacketInfo PassSecurity "
    "PipeSize PollLimitBurst PollLimitIntervalSec Priority ReceiveBuffer "
    "RemoveOnStop ReusePort SELinuxContextFromNet SendBuffer Service "
    "SmackLabel SmackLabelIPIn SmackLabelIPOut SocketGroup SocketMode "
    "SocketProtocol SocketUser Symlinks TCPCongestion Timestamping "
    "Transparent TriggerLimitBurst TriggerLimitIntervalSec Writable";

// Both: how processes are run, limited and killed.
constexpr absl::string_view kProcessNames =
    "AllowedCPUs AllowedMemoryNodes AmbientCapabilities AppArmorProfile "
    "BPFProgram BindLogSockets BindPaths BindReadOnlyPaths "
    "BlockIOAccounting BlockIODeviceWeight BlockIOReadBandwidth "
    "BlockIOWeight BlockIOWriteBandwidth CPUAccounting CPUAffinity CPUQuota "
    "CPUQuotaPeriodSec CPUSchedulingPolicy CPUSchedulingPriority "
    "CPUSchedulingResetOnFork CPUShares CPUWeight CacheDirectory "
    "CacheDirectoryMode CacheDirectoryQuota CapabilityBoundingSet "
    "ConfigurationDirectory "
    "ConfigurationDirectoryMode CoredumpFilter CoredumpReceive "
    "DefaultMemoryLow DefaultMemoryMin DefaultStartupMemoryLow Delegate "
    "DelegateSubgroup DeviceAllow DevicePolicy DisableControllers "
    "DynamicUser Environment EnvironmentFile ExecPaths ExecSearchPath "
    "ExecStartPost ExecStartPre ExecStopPost ExtensionDirectories "
    "ExtensionImagePolicy ExtensionImages FinalKillSignal Group "
    "IOAccounting IODeviceLatencyTargetSec IODeviceWeight "
    "IOReadBandwidthMax IOReadIOPSMax IOSchedulingClass "
    "IOSchedulingPriority IOWeight IOWriteBandwidthMax IOWriteIOPSMax "
    "IPAccounting IPAddressAllow IPAddressDeny IPCNamespacePath "
    "IPEgressFilterPath IPIngressFilterPath IgnoreSIGPIPE ImportCredential "
    "InaccessibleDirectories InaccessiblePaths KeyringMode KillMode "
    "KillSignal LimitAS LimitCORE LimitCPU LimitDATA LimitFSIZE LimitLOCKS "
    "LimitMEMLOCK LimitMSGQUEUE LimitNICE LimitNOFILE LimitNPROC LimitRSS "
    "LimitRTPRIO LimitRTTIME LimitSIGPENDING LimitSTACK LoadCredential "
    "LoadCredentialEncrypted LockPersonality LogExtraFields LogLevelMax "
    "LogNamespace LogRateLimitBurst LogRateLimitIntervalSec LogsDirectory "
    "LogsDirectoryMode LogsDirectoryQuota ManagedOOMMemoryPressure "
    "ManagedOOMMemoryPressureDurationSec ManagedOOMMemoryPressureLimit "
    "ManagedOOMPreference ManagedOOMSwap MemoryAccounting "
    "MemoryDenyWriteExecute MemoryHigh MemoryKSM MemoryLimit MemoryLow "
    "MemoryMax MemoryMin MemoryPressureThresholdSec MemoryPressureWatch "
    "MemorySwapMax MemoryZSwapMax MemoryZSwapWriteback MountAPIVFS "
    "MountFlags MountImagePolicy MountImages NFTSet NUMAMask NUMAPolicy "
    "NetworkNamespacePath Nice NoExecPaths NoNewPrivileges OOMScoreAdjust "
    "PAMName PassEnvironment Personality PrivateBPF PrivateDevices "
    "PrivateIPC PrivateMounts PrivateNetwork PrivatePIDs PrivateTmp "
    "PrivateUsers ProcSubset ProtectClock ProtectControlGroups ProtectHome "
    "ProtectHostname ProtectKernelLogs ProtectKernelModules "
    "ProtectKernelTunables ProtectProc ProtectSystem ReadOnlyDirectories "
    "ReadOnlyPaths ReadWriteDirectories ReadWritePaths RemoveIPC "
    "RestartKillSignal RestrictAddressFamilies RestrictFileSystems "
    "RestrictNamespaces RestrictNetworkInterfaces RestrictRealtime "
    "RestrictSUIDSGID RootDirectory RootEphemeral RootHash "
    "RootHashSignature RootImage RootImageOptions RootImagePolicy "
    "RootVerity RuntimeDirectory RuntimeDirectoryMode "
    "RuntimeDirectoryPreserve SELinuxContext SecureBits SendSIGHUP "
    "SendSIGKILL SetCredential SetCredentialEncrypted SetLoginEnvironment "
    "Slice SmackProcessLabel SocketBindAllow SocketBindDeny StandardError "
    "StandardInput StandardInputData StandardInputText StandardOutput "
    "StartupAllowedCPUs StartupAllowedMemoryNodes StartupBlockIOWeight "
    "StartupCPUShares StartupCPUWeight StartupIOWeight StartupMemoryHigh "
    "StartupMemoryLow StartupMemoryMax StartupMemorySwapMax "
    "StartupMemoryZSwapMax StateDirectory StateDirectoryAccounting "
    "StateDirectoryMode StateDirectoryQuota SupplementaryGroups "
    "SyslogFacility SyslogIdentifier SyslogLevel SyslogLevelPrefix "
    "SystemCallArchitectures SystemCallErrorNumber SystemCallFilter "
    "SystemCallLog TTYColumns TTYPath TTYReset TTYRows TTYVHangup "
    "TTYVTDisallocate TasksAccounting TasksMax TemporaryFileSystem "
    "TimeoutCleanSec TimeoutSec TimerSlackNSec UMask UnsetEnvironment User "
    "UtmpIdentifier UtmpMode WatchdogSignal WorkingDirectory";

void Append(absl::string_view names, std::vector<absl::string_view>* all) {
  for (const absl::string_view name : absl::StrSplit(names, ' ')) {
    all->push_back(name);
  }
}

}  // namespace

std::vector<absl::string_view> SettingNames(absl::string_view section) {
  std::vector<absl::string_view> names;
  if (section == "Unit") Append(kUnitNames, &names);
  if (section == "Service") Append(kServiceNames, &names);
  if (section == "Socket") Append(kSocketNames, &names);
  if (section == "Service" || section == "Socket") {
    Append(kProcessNames, &names);
  }
  return names;
}

}  // namespace vmsilo::unitgen
