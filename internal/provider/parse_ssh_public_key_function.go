package provider

import (
	"context"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/function"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/sshkey"
)

type parseSSHPublicKeyFunction struct{}

// parsedSSHPublicKey is the object that the function returns.
type parsedSSHPublicKey struct {
	Type              types.String `tfsdk:"type"`
	Bits              types.Int64  `tfsdk:"bits"`
	Comment           types.String `tfsdk:"comment"`
	FingerprintSHA256 types.String `tfsdk:"fingerprint_sha256"`
	FingerprintMD5    types.String `tfsdk:"fingerprint_md5"`
	OpenSSH           types.String `tfsdk:"openssh"`
}

func newParseSSHPublicKeyFunction() function.Function { return parseSSHPublicKeyFunction{} }

func (parseSSHPublicKeyFunction) Metadata(_ context.Context, _ function.MetadataRequest, resp *function.MetadataResponse) {
	resp.Name = "parse_ssh_public_key"
}

func (parseSSHPublicKeyFunction) Definition(_ context.Context, _ function.DefinitionRequest, resp *function.DefinitionResponse) {
	resp.Definition = function.Definition{
		Summary: "Parses an OpenSSH public key.",
		MarkdownDescription: "Parses an OpenSSH public key, to check it in a `precondition` or to show its fingerprint. Sends no request. " +
			"Requires Terraform 1.8 or OpenTofu 1.7.\n\n" +
			"Returns an object:\n\n" +
			"- `type` (String) Algorithm of the key, for example `ssh-ed25519`.\n" +
			"- `bits` (Number) Length of the key as `ssh-keygen -l` prints it: 256 for `ssh-ed25519`, the length of the modulus for `ssh-rsa`. Null if the provider does not know the type.\n" +
			"- `comment` (String) Text after the key, or `\"\"` if there is none.\n" +
			"- `fingerprint_sha256` (String) SHA-256 fingerprint as `ssh-keygen -l` prints it: `SHA256:…`.\n" +
			"- `fingerprint_md5` (String) MD5 fingerprint as pairs of hexadecimal digits: `aa:bb:…`.\n" +
			"- `openssh` (String) Type and base64 of the key, without comment and white space.\n\n" +
			"The function also parses keys that Bitbucket refuses, for example RSA with 1024 bits. Anything except one public key is an error, for example a private key.\n\n" +
			"~> When a function fails, Terraform prints the call and the variables in it. If the argument is a private key by mistake, Terraform prints the private key, " +
			"unless the variable is `sensitive` or the call is `parse_ssh_public_key(file(…))`.",
		Parameters: []function.Parameter{
			function.StringParameter{Name: "public_key", MarkdownDescription: "Public key in OpenSSH format, for example `ssh-ed25519 AAAA… comment`. White space around it is ignored."},
		},
		Return: function.ObjectReturn{AttributeTypes: map[string]attr.Type{
			"type":               types.StringType,
			"bits":               types.Int64Type,
			"comment":            types.StringType,
			"fingerprint_sha256": types.StringType,
			"fingerprint_md5":    types.StringType,
			"openssh":            types.StringType,
		}},
	}
}

func (parseSSHPublicKeyFunction) Run(ctx context.Context, req function.RunRequest, resp *function.RunResponse) {
	var text string
	if resp.Error = req.Arguments.Get(ctx, &text); resp.Error != nil {
		return
	}
	key, problem := sshkey.Parse(text)
	if problem != nil {
		// Terraform ends the sentence itself.
		resp.Error = function.NewArgumentFuncError(0, strings.TrimSuffix(problem.Error(), "."))
		return
	}
	bits := types.Int64Null()
	if known := key.Bits(); known > 0 {
		bits = types.Int64Value(int64(known))
	}
	resp.Error = resp.Result.Set(ctx, parsedSSHPublicKey{
		Type:              types.StringValue(key.Type),
		Bits:              bits,
		Comment:           types.StringValue(key.Comment),
		FingerprintSHA256: types.StringValue(key.FingerprintSHA256()),
		FingerprintMD5:    types.StringValue(key.FingerprintMD5()),
		OpenSSH:           types.StringValue(key.String()),
	})
}
