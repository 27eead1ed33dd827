extension CPUKernels {
    static let image: [Kernel] = []
}
