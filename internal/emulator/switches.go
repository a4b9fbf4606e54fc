package emulator

// Switch is a behavior of the emulator that differs from the default. Nobody knows yet
// whether Bitbucket has this behavior or the default behavior.
type Switch struct {
	// Name is the call that selects the behavior.
	Name string
	Set  func(*Emulator)
}

// Switches returns the behaviors that a recording of Bitbucket can confirm or refute.
func Switches() []Switch {
	deployments := func(behavior DeploymentBehavior) func(*Emulator) {
		return func(e *Emulator) { e.SetDeployments(behavior) }
	}
	return []Switch{
		{"SetPUT(PUTRefused)", func(e *Emulator) { e.SetPUT(PUTRefused) }},
		{"SetPUT(PUTLabelOnly)", func(e *Emulator) { e.SetPUT(PUTLabelOnly) }},
		{"SetDuplicate(DuplicateEnvelope)", func(e *Emulator) { e.SetDuplicate(DuplicateEnvelope) }},
		{"SetRename(RenameRedirect)", func(e *Emulator) { e.SetRename(RenameRedirect) }},
		{"SetDeployments(SlashRequired)", deployments(DeploymentBehavior{Slash: SlashRequired})},
		{"SetDeployments(SlashRefused)", deployments(DeploymentBehavior{Slash: SlashRefused})},
		{"SetDeployments(NeverDeployed404)", deployments(DeploymentBehavior{NeverDeployed404: true})},
		{"SetDeployments(SlashRequired, NeverDeployed404)", deployments(DeploymentBehavior{Slash: SlashRequired, NeverDeployed404: true})},
		{"SetDeployments(SortIgnored)", deployments(DeploymentBehavior{Sort: SortIgnored})},
		{"SetDeployments(SortRefused)", deployments(DeploymentBehavior{Sort: SortRefused})},
		{"SetNextLinks(NextLinksAPIHost)", func(e *Emulator) { e.SetNextLinks(NextLinksAPIHost) }},
		{"SetNextLinks(NextLinksInternalHost)", func(e *Emulator) { e.SetNextLinks(NextLinksInternalHost) }},
		{"SetNextLinks(NextLinksSamePage)", func(e *Emulator) { e.SetNextLinks(NextLinksSamePage) }},
	}
}
