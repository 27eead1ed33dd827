extension OpTable {
    static let normalizationOps: [Op] = []
}
