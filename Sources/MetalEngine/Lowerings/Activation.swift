#if canImport(Metal) && canImport(MetalPerformanceShadersGraph)
    import MIL
    import MetalPerformanceShadersGraph

    extension MetalLowerings {
        static let activation: [Lowering] = [
            .unary("relu") { $0.reLU(with: $1, name: nil) }
        ]
    }
#endif
